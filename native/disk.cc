#include "disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "mapping.h"

namespace millrace {
namespace {

// Of room that is made or given back: small enough that a signal which interrupts a step undoes little.
constexpr int64_t kRoomStep = 2 << 20;
// Of what is copied or written: an event loop that wakes up may get the core no sooner than at the end of a step, and a
// commit that comes meanwhile the disk.
constexpr int64_t kWrittenStep = kStepBytes;

// `step` returns what the kernel does: 0, or -1 and errno.
template <typename Step>
Failure InSteps(int64_t from, int64_t end, int64_t longest, const Pace& pace, const char* call, Step step) {
  for (int64_t done = from; done < end;) {
    if (pace.cancelled()) return {ECANCELED, call};
    if (done != from) pace.Pause();
    const int64_t bytes = std::min(longest, end - done);
    if (step(done, bytes) == 0) {
      done += bytes;
    } else if (errno != EINTR) {
      return LastFailure(call);
    }
  }
  return {};
}

// Large enough for file systems to make one piece of it, and small enough to be written again for a page of it.
constexpr char kZeros[64 * 1024] = {};

bool IsInRam(int fd) {
  struct statfs system;
  if (fstatfs(fd, &system) != 0) return false;
  const uint32_t type = static_cast<uint32_t>(system.f_type);
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC;
}

int64_t WholePages(int64_t bytes) {
  const int64_t page = static_cast<int64_t>(kPageBytes);
  return (bytes + page - 1) / page * page;
}

}  // namespace

void WriteInPlace(int fd) {
  struct statfs system;
  if (fstatfs(fd, &system) != 0 || static_cast<uint32_t>(system.f_type) != BTRFS_SUPER_MAGIC) return;
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return;
  flags |= FS_NOCOW_FL;
  // Where it is refused the file is as good as any that was made without.
  static_cast<void>(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

Failure Allocate(int fd, int64_t bytes, const Pace& pace) {
  const auto step = [fd](int64_t at, int64_t length) { return fallocate(fd, 0, at, length); };
  return InSteps(0, bytes, kRoomStep, pace, "fallocate", step);
}

void FillPageCache(int fd, int64_t bytes, const Pace& pace) {
  if (IsInRam(fd)) return;
  const auto step = [fd](int64_t at, int64_t length) -> int {
    for (int64_t done = 0; done < length;) {
      const int64_t piece = std::min(static_cast<int64_t>(sizeof kZeros), length - done);
      const ssize_t written = pwrite(fd, kZeros, static_cast<size_t>(piece), at + done);
      if (written <= 0) return -1;
      done += written;
    }
    return 0;
  };
  static_cast<void>(InSteps(0, bytes, kWrittenStep, pace, "pwrite", step));
}

Failure PunchHole(int fd, int64_t from, int64_t bytes, const Pace& pace) {
  const auto step = [fd](int64_t at, int64_t length) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
  };
  // A page of which the hole takes a part only is kept, also the file's last.
  return InSteps(WholePages(from), WholePages(bytes), kRoomStep, pace, "fallocate", step);
}

void BeginToWrite(int fd, int64_t from, int64_t end) {
  static_cast<void>(sync_file_range(fd, from, end - from, SYNC_FILE_RANGE_WRITE));
}

Failure SyncData(int fd) {
  int result;
  do {
    result = fdatasync(fd);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return LastFailure("fdatasync");
  return {};
}

Failure SyncDirectory(const char* directory) {
  int fd;
  do {
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return LastFailure("open");
  int result;
  do {
    result = fsync(fd);
  } while (result != 0 && errno == EINTR);
  const Failure failure = result == 0 ? Failure{} : LastFailure("fsync");
  close(fd);
  return failure;
}

Failure SyncInSteps(int fd, int64_t bytes, const Pace& pace) {
  constexpr unsigned kWriteAndWait = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  const auto step = [fd](int64_t at, int64_t length) { return sync_file_range(fd, at, length, kWriteAndWait); };
  const Failure failure = InSteps(0, bytes, kWrittenStep, pace, "sync_file_range", step);
  // It only spreads the work: a sandbox or a file system that has none is no reason to fail.
  const bool is_missing = failure.error == ENOSYS || failure.error == EPERM || failure.error == EINVAL;
  if (failure && !is_missing) return failure;
  return SyncData(fd);
}

}  // namespace millrace
