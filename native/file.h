#ifndef MILLRACE_FILE_H
#define MILLRACE_FILE_H

#include <limits.h>
#include <node_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "errors.h"
#include "mapping.h"
#include "steps.h"

namespace millrace {

// A descriptor that a job on another thread may be using while its handle is closed: the number must not be free for
// reuse before the job has looked at `closing`.
class Descriptor {
 public:
  Descriptor(int number, bool may_write) : fd(number), writable(may_write) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  const int fd;
  const bool writable;
  std::atomic<bool> closing{false};
};

// The kernel takes no longer ones.
struct PathText {
  char text[PATH_MAX] = "";
};

// How the pages of a file that is made are readied for stores. The numbers are those of lib/native.ts.
enum class Pages {
  // Stores find them ready. The next sync brings all of them to the disk, zeros as they are.
  kDirty = 0,
  // The disk gets what is stored to. The first store to each page costs a fault, unless the file is in RAM.
  kClean = 1,
  // They are on the disk, zeros and all: a sync has nothing else to bring there than what was stored, not even the note
  // that there are no zeros any more. For stores as clean ones.
  kSynced = 2,
};

// A file that is to be made.
struct FilePlan {
  PathText directory;
  int64_t bytes = 0;
  uint32_t permissions = 0;
  Pages pages = Pages::kDirty;
};

// What statFile tells; numbers that JavaScript holds exactly, or nearly.
struct FileFacts {
  int64_t bytes = 0;
  double device = 0;
  double inode = 0;
  bool regular = false;
  uint32_t file_system = 0;
};

// Whose mapping an ArrayBuffer shows.
struct Lease {
  std::shared_ptr<Mapping> mapping;
};

// An open file: descriptor, locks, mapping and the ArrayBuffer that was lent. Lives on one JavaScript thread, but is
// made on any.
class File {
 public:
  // Each returns nullptr and a failure, or a file. Create blocks: it locks, allocates and maps; nothing is
  // present yet.
  static std::unique_ptr<File> Create(const FilePlan& plan, const Pace& pace, Failure* failure);
  static std::unique_ptr<File> Open(const PathText& path, bool writable, Failure* failure);

  // A file that was never handed to JavaScript, or whose handle is gone; Close came first if it was handed out.
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool closed() const { return descriptor_ == nullptr; }
  int fd() const { return descriptor_->fd; }
  bool writable() const { return descriptor_->writable; }
  const std::shared_ptr<Descriptor>& descriptor() const { return descriptor_; }
  const std::shared_ptr<Mapping>& mapping() const { return mapping_; }

  // Populates a file that was just made; blocks.
  Failure MakeReady(Pages pages, const Pace& pace);

  Failure Stat(FileFacts* facts) const;
  Failure Link(const PathText& path) const;

  // Maps the whole file, once. Only a file of our own making is writable from the start.
  Failure Map(bool writable);

  // The mapping as an ArrayBuffer, the same one at each call; nullptr with an exception pending.
  napi_value Lend(napi_env env);

  // Locks, descriptor and lent memory go; idempotent. On the handle's own thread.
  void Close(napi_env env);

 private:
  File(int fd, bool writable);

  void Detach(napi_env env);

  std::shared_ptr<Descriptor> descriptor_;
  std::shared_ptr<Mapping> mapping_;
  napi_ref lent_ = nullptr;
  std::shared_ptr<Lease> lease_;
  int64_t uncounted_ = 0;  // of the lent bytes, what V8 was told not to count
};

// Hands the file to JavaScript as a tagged external that closes it when collected; nullptr if the thread is ending.
napi_value MakeHandle(napi_env env, std::unique_ptr<File> file);

// The file behind such an external; nullptr for anything else.
File* FileOf(napi_env env, napi_value value);

}  // namespace millrace

#endif
