#include "locks.h"

#include <fcntl.h>

#include <cerrno>

namespace millrace {
namespace {

struct flock Range(short type, int64_t start, int64_t length) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = start;
  range.l_len = length;  // 0: to the end of all things
  range.l_pid = 0;       // the kernel insists
  return range;
}

int Control(int fd, int command, struct flock* range) {
  int result;
  do {
    result = fcntl(fd, command, range);
  } while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

Failure LockByte(int fd, int64_t byte, bool* taken) {
  struct flock range = Range(F_WRLCK, byte, 1);
  *taken = Control(fd, F_OFD_SETLK, &range) == 0;
  if (*taken || errno == EAGAIN || errno == EACCES) return {};
  return LastFailure("fcntl(F_OFD_SETLK)");
}

Failure UnlockByte(int fd, int64_t byte) {
  struct flock range = Range(F_UNLCK, byte, 1);
  if (Control(fd, F_OFD_SETLK, &range) == 0) return {};
  return LastFailure("fcntl(F_OFD_SETLK)");
}

Failure IsAnyLocked(int fd, int64_t from, int64_t until, bool* locked) {
  struct flock range = Range(F_WRLCK, from, until - from);
  if (Control(fd, F_OFD_GETLK, &range) != 0) return LastFailure("fcntl(F_OFD_GETLK)");
  *locked = range.l_type != F_UNLCK;
  return {};
}

void UnlockAll(int fd) {
  struct flock range = Range(F_UNLCK, 0, 0);
  Control(fd, F_OFD_SETLK, &range);
}

}  // namespace millrace
