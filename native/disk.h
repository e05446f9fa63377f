#ifndef MILLRACE_DISK_H
#define MILLRACE_DISK_H

#include <atomic>
#include <cstdint>

#include "errors.h"

namespace millrace {

// What is done to a file's place on its disk. All of these block; those in steps stop with ECANCELED once `cancelled`
// is set.

// Allocates every byte of [0, bytes) in steps. Without `cancelled` there is no pause between them: for a thread that
// waits.
Failure Allocate(int fd, int64_t bytes, const std::atomic<bool>* cancelled);

// Gives back what the whole pages behind `from` take up, in steps; the file keeps its length and reads as 0 there.
Failure PunchHole(int fd, int64_t from, int64_t bytes, const std::atomic<bool>& cancelled);

// Returns once everything stored to the file so far is on its disk, and what is needed to find it there.
Failure SyncData(int fd);

// The same for a file of which all may have to be written: in steps, each of which is waited for.
Failure SyncInSteps(int fd, int64_t bytes, const std::atomic<bool>& cancelled);

}  // namespace millrace

#endif
