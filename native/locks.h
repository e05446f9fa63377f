#ifndef MILLRACE_LOCKS_H
#define MILLRACE_LOCKS_H

#include <cstdint>

#include "errors.h"

namespace millrace {

// Locks on single bytes that belong to an open file description: two opens in one process exclude each other, and the
// kernel drops them at any death of the process. They may lie behind the end of the file.

// Sets *taken to false where another description has it.
Failure LockByte(int fd, int64_t byte, bool* taken);
Failure UnlockByte(int fd, int64_t byte);
Failure IsAnyLocked(int fd, int64_t from, int64_t until, bool* locked);

// A mapping holds its open file description as well as the descriptor does, so that closing the descriptor alone would
// leave the locks in place until the last page is unmapped.
void UnlockAll(int fd);

}  // namespace millrace

#endif
