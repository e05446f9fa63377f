#ifndef MILLRACE_WAKE_H
#define MILLRACE_WAKE_H

#include <cstdint>

#include "errors.h"

namespace millrace {

// Whoever is about to sleep stores a word that says so and then looks for the last time; whoever writes stores what it
// wrote and then looks for that word. One of the two has to see the other, which takes a full fence between store and
// load on both sides. The writer's would be one a record. So the sleeper makes both: FenceOthers is a full fence on every
// thread of every process that joined, somewhere between its begin and its end.

// Joins this process; false where the system has no such thing. Then it has to make its fences itself.
bool JoinFences();

// False where the system has no such thing.
bool FenceOthers();

// Sleeps on the word until it is woken, the word isn't `expected`, a signal comes or the time is over. Blocks.
void SleepOn(const uint32_t* word, uint32_t expected, int64_t nanoseconds);

// Wakes all that sleep on the word, in this process and others.
void WakeAllOn(const uint32_t* word);

// Rings for those who listen to the file with a Bell.
void Ring(int fd);

}  // namespace millrace

#endif
