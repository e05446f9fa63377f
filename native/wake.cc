#include "wake.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace millrace {

namespace {

constexpr int64_t kNanosecondsASecond = 1000000000;

bool Membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

bool JoinFences() { return Membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED); }

bool FenceOthers() { return Membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED); }

void SleepOn(const uint32_t* word, uint32_t expected, int64_t nanoseconds) {
  const timespec limit{static_cast<time_t>(nanoseconds / kNanosecondsASecond), nanoseconds % kNanosecondsASecond};
  // Without FUTEX_PRIVATE_FLAG: the word is known by file and offset, in every process that maps it.
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &limit, nullptr, 0);
}

void WakeAllOn(const uint32_t* word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

void Ring(int fd) {
  char byte;
  // What is read doesn't matter, only that the kernel tells it to those who listen. It lies in memory.
  [[maybe_unused]] const ssize_t one = pread(fd, &byte, 1, 0);
}

}  // namespace millrace
