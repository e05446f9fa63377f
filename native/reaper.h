#ifndef MILLRACE_REAPER_H
#define MILLRACE_REAPER_H

#include <cstddef>

namespace millrace {

// Kernel work on a mapping is done in steps of this size with a pause between: each step holds the process's map lock,
// and while it is held no other thread can fault in a page. One munmap of 256 MiB stalls JavaScript for 24-72 ms.
constexpr size_t kStepBytes = 256 * 1024;

// Long enough for whoever waits for the map lock to get it.
void PauseBetweenSteps();

// Unmaps [address, address + bytes) soon, in steps, on a thread of the process's own; from any thread. Where a thousand
// wait for that already, it is done at once.
void UnmapLater(void* address, size_t bytes);

}  // namespace millrace

#endif
