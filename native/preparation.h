#ifndef MILLRACE_PREPARATION_H
#define MILLRACE_PREPARATION_H

#include <node_api.h>

#include <memory>
#include <utility>

#include "errors.h"
#include "file.h"

namespace millrace {

// A file that is made before it is needed, on a thread of its own: libuv's pool may be busy with syncs for as long as a
// disk takes. Lives on one JavaScript thread; what both threads use is theirs together, so neither waits for the end of
// the other.
class Preparation {
 public:
  // Begins at once; `hurried`: without pauses. nullptr and a failure where there is no thread to be had.
  static std::unique_ptr<Preparation> Begin(const FilePlan& plan, bool hurried, Failure* failure);

  ~Preparation() { Drop(); }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  // Whether it was taken or dropped.
  bool over() const { return work_ == nullptr; }

  // Whether the file, or the failure to make it, may be taken. Only while it isn't over.
  bool Ready() const;

  // Blocks until it is ready, and hurries it.
  void Wait();

  // Of one that is ready. The file, or nullptr and what making it failed with; then it is over.
  std::unique_ptr<File> Take(Failure* failure);

  // Lets go of the file, or of making it; idempotent.
  void Drop();

 private:
  struct Work;
  explicit Preparation(std::shared_ptr<Work> work) : work_(std::move(work)) {}

  static void* Make(void* shared);

  std::shared_ptr<Work> work_;
};

// Hands it to JavaScript, which ends it by collection; nullptr if the thread is ending.
napi_value MakeHandle(napi_env env, std::unique_ptr<Preparation> preparation);

// The preparation behind such a handle; nullptr for anything else.
Preparation* PreparationOf(napi_env env, napi_value value);

}  // namespace millrace

#endif
