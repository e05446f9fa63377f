#include "disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "mapping.h"

namespace millrace {
namespace {

// Small enough that a signal which interrupts a step undoes little, and that no step keeps a core for milliseconds.
constexpr int64_t kDiskStep = 2 << 20;

// `step` returns what the kernel does: 0, or -1 and errno.
template <typename Step>
Failure InSteps(int64_t from, int64_t end, const Pace& pace, const char* call, Step step) {
  for (int64_t done = from; done < end;) {
    if (pace.cancelled()) return {ECANCELED, call};
    if (done != from) pace.Pause();
    const int64_t bytes = std::min(kDiskStep, end - done);
    if (step(done, bytes) == 0) {
      done += bytes;
    } else if (errno != EINTR) {
      return LastFailure(call);
    }
  }
  return {};
}

int64_t WholePages(int64_t bytes) {
  const int64_t page = static_cast<int64_t>(kPageBytes);
  return (bytes + page - 1) / page * page;
}

}  // namespace

Failure Allocate(int fd, int64_t bytes, const Pace& pace) {
  const auto step = [fd](int64_t at, int64_t length) { return fallocate(fd, 0, at, length); };
  return InSteps(0, bytes, pace, "fallocate", step);
}

Failure PunchHole(int fd, int64_t from, int64_t bytes, const Pace& pace) {
  const auto step = [fd](int64_t at, int64_t length) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
  };
  // A page of which the hole takes a part only is kept, also the file's last.
  return InSteps(WholePages(from), WholePages(bytes), pace, "fallocate", step);
}

Failure SyncData(int fd) {
  int result;
  do {
    result = fdatasync(fd);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return LastFailure("fdatasync");
  return {};
}

Failure SyncInSteps(int fd, int64_t bytes, const Pace& pace) {
  constexpr unsigned kWriteAndWait = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  const auto step = [fd](int64_t at, int64_t length) { return sync_file_range(fd, at, length, kWriteAndWait); };
  const Failure failure = InSteps(0, bytes, pace, "sync_file_range", step);
  if (failure) return failure;
  return SyncData(fd);
}

}  // namespace millrace
