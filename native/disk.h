#ifndef MILLRACE_DISK_H
#define MILLRACE_DISK_H

#include <cstdint>

#include "errors.h"
#include "steps.h"

namespace millrace {

// What is done to a file's place on its disk. All of these block; those in steps go on as their pace says.

// To be called while the file is empty, so that what is allocated is also there to be written to: btrfs would copy each
// page elsewhere when it is written, and a store that finds no room for that ends the process by SIGBUS.
void WriteInPlace(int fd);

// Allocates every byte of [0, bytes) in steps.
Failure Allocate(int fd, int64_t bytes, const Pace& pace);

// Brings all of [0, bytes) into the page cache of a disk, as zeros that are to be written there, in steps. It only spares
// work, and goes as far as it goes: pages that come by many at once, as the file system likes it best, cost a part of what
// they do one by one. Nothing in RAM, where they don't.
void FillPageCache(int fd, int64_t bytes, const Pace& pace);

// Gives back what the whole pages behind `from` take up, in steps; the file keeps its length and reads as 0 there.
Failure PunchHole(int fd, int64_t from, int64_t bytes, const Pace& pace);

// Has the kernel begin to write the pages of [from, end), and waits for none of it, unless the disk has more to do than
// it takes. A hint: a sync is to follow, and says whether it went well.
void BeginToWrite(int fd, int64_t from, int64_t end);

// Returns once everything stored to the file so far is on its disk, and what is needed to find it there.
Failure SyncData(int fd);

// The names in a directory are on its disk.
Failure SyncDirectory(const char* directory);

// As SyncData for a file of which all may have to be written: in steps, each of which is waited for.
Failure SyncInSteps(int fd, int64_t bytes, const Pace& pace);

}  // namespace millrace

#endif
