#ifndef MILLRACE_REAPER_H
#define MILLRACE_REAPER_H

#include <cstddef>

namespace millrace {

// Unmaps [address, address + bytes) soon, in steps, on a thread of the process's own; from any thread. Where a thousand
// wait for that already, it is done at once.
void UnmapLater(void* address, size_t bytes);

}  // namespace millrace

#endif
