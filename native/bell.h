#ifndef MILLRACE_BELL_H
#define MILLRACE_BELL_H

#include <node_api.h>

#include "errors.h"
#include "file.h"

namespace millrace {

// Lets an event loop sleep until a file is rung for (see wake.h). It listens by inotify: whoever rings reads one byte
// of the file, which the kernel tells everyone who listens to it. So there is nothing beside the file that could be left
// behind, vanish or be missing in a container that sees the same file; and what is rung while nobody looks is queued.
// One for a JavaScript thread, for all its files; it goes with the thread.
class Bell {
 public:
  // Calls `on_ring` with the watch that was rung for, or -1 where rings were too many to tell. nullptr with an exception
  // pending where there is none to be had.
  static napi_value Open(napi_env env, napi_value on_ring);

  // The bell behind what Open returned; nullptr for anything else.
  static Bell* Of(napi_env env, napi_value value);

  // Listens to a file; the same watch for the same file. -1 and a failure where that can't be.
  int Watch(const File& file, Failure* failure);
  void Unwatch(int watch);

 private:
  struct Poll;
  explicit Bell(Poll* poll) : poll_(poll) {}

  Poll* const poll_;
};

}  // namespace millrace

#endif
