#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "disk.h"
#include "handles.h"
#include "locks.h"

namespace millrace {
namespace {

// statx, because fstat in the C library of the machine that builds would need glibc 2.33.
Failure Status(int fd, struct statx* status) {
  if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) != 0) return LastFailure("statx");
  return {};
}

int OpenAgain(const char* path, int flags, uint32_t permissions) {
  int fd;
  do {
    fd = open(path, flags, permissions);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// V8 lets go of its part once nothing can reach the bytes any more, but tells so in a later turn of the event loop only.
void EndLease(napi_env, void*, void* part) { delete static_cast<std::shared_ptr<Lease>*>(part); }

// V8 counts an external ArrayBuffer as memory that a collection might free, and collects for every 64 MiB mapped or so.
// Before version 24 Node can be told that these pages are the file's. Since then V8 ends the process when its sum falls
// below zero, and Node's end of a thread detaches the buffers before any code of ours could give the bytes back.
bool MayCorrectTheCount(napi_env env) {
  const napi_node_version* version = nullptr;
  return napi_get_node_version(env, &version) == napi_ok && version->major < 24;
}

void FinalizeHandle(napi_env env, void* data, void*) {
  File* file = static_cast<File*>(data);
  file->Close(env);
  delete file;
}

}  // namespace

Descriptor::~Descriptor() { close(fd); }

File::File(int fd, bool writable) : descriptor_(new Descriptor(fd, writable)) {}

File::~File() {
  if (descriptor_ != nullptr) UnlockAll(descriptor_->fd);
}

std::unique_ptr<File> File::Create(const FilePlan& plan, const Pace& pace, Failure* failure) {
  const int fd = OpenAgain(plan.directory.text, O_TMPFILE | O_RDWR | O_CLOEXEC, plan.permissions);
  if (fd < 0) {
    *failure = LastFailure("open(O_TMPFILE)");
    return nullptr;
  }
  std::unique_ptr<File> file(new File(fd, true));
  bool taken = false;
  *failure = LockByte(fd, 0, &taken);
  if (!*failure && !taken) *failure = {EAGAIN, "fcntl(F_OFD_SETLK)"};
  if (*failure) return nullptr;

  WriteInPlace(fd);
  *failure = Allocate(fd, plan.bytes, pace);
  if (*failure) return nullptr;

  *failure = file->Map(true);
  if (*failure) return nullptr;
  return file;
}

std::unique_ptr<File> File::Open(const PathText& path, bool writable, Failure* failure) {
  // O_NONBLOCK: what lies under the name may be a FIFO, which would wait for its other end. No effect on files.
  const int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  const int fd = OpenAgain(path.text, flags, 0);
  if (fd < 0) {
    *failure = LastFailure("open");
    return nullptr;
  }
  return std::unique_ptr<File>(new File(fd, writable));
}

Failure File::MakeReady(Pages pages, const Pace& pace) {
  // What is synced page by page is to lie there page by page.
  if (pages == Pages::kDirty) FillPageCache(fd(), static_cast<int64_t>(mapping_->bytes()), pace);
  const Failure failure = mapping_->Populate(0, pages != Pages::kClean, pace);
  if (failure || pages != Pages::kSynced) return failure;
  mapping_->LetGo(0, mapping_->bytes());
  return SyncInSteps(fd(), static_cast<int64_t>(mapping_->bytes()), pace);
}

Failure File::Stat(FileFacts* facts) const {
  struct statx status;
  const Failure failure = Status(fd(), &status);
  if (failure) return failure;
  struct statfs system;
  if (fstatfs(fd(), &system) != 0) return LastFailure("fstatfs");
  facts->bytes = static_cast<int64_t>(status.stx_size);
  facts->device = static_cast<double>(makedev(status.stx_dev_major, status.stx_dev_minor));
  facts->inode = static_cast<double>(status.stx_ino);
  facts->regular = S_ISREG(status.stx_mode);
  facts->file_system = static_cast<uint32_t>(system.f_type);
  return {};
}

Failure File::Link(const PathText& path) const {
  char self[40];
  std::snprintf(self, sizeof self, "/proc/self/fd/%d", fd());
  if (linkat(AT_FDCWD, self, AT_FDCWD, path.text, AT_SYMLINK_FOLLOW) != 0) return LastFailure("linkat");
  return {};
}

Failure File::Map(bool writable) {
  if (mapping_ != nullptr) return {};
  struct statx status;
  Failure failure = Status(fd(), &status);
  if (failure) return failure;
  // mmap itself would take a device, and then only an access would show that it isn't memory.
  if (!S_ISREG(status.stx_mode)) return {ENODEV, "mmap"};
  if (status.stx_size == 0) return {EINVAL, "mmap"};
  if (status.stx_size > static_cast<uint64_t>(kLargestFile)) return {EFBIG, "mmap"};
  mapping_ = Mapping::Create(fd(), status.stx_size, writable, &failure);
  return failure;
}

napi_value File::Lend(napi_env env) {
  napi_value buffer = nullptr;
  if (lent_ != nullptr) {
    napi_get_reference_value(env, lent_, &buffer);
    return buffer;
  }
  const Failure failure = Map(false);
  if (failure) {
    Throw(env, failure);
    return nullptr;
  }
  lease_.reset(new Lease{mapping_});
  auto* part = new std::shared_ptr<Lease>(lease_);
  const int64_t bytes = static_cast<int64_t>(mapping_->bytes());
  const napi_status status =
      napi_create_external_arraybuffer(env, mapping_->data(), mapping_->bytes(), &EndLease, part, &buffer);
  if (status == napi_no_external_buffers_allowed) {
    delete part;
    napi_throw_error(env, "ERR_EXTERNAL_BUFFERS", "This runtime does not let an addon lend mapped memory");
    return nullptr;
  }
  // Where the thread is being terminated it isn't told whether Node has taken the lease, and may yet end it: so it stays,
  // but empty. Nobody ever saw the buffer, so nobody will touch what was mapped.
  if (status != napi_ok) {
    lease_->mapping.reset();
    Throw(env, {ENOMEM, "napi_create_external_arraybuffer"});
    return nullptr;
  }
  if (napi_create_reference(env, buffer, 1, &lent_) != napi_ok) return buffer;
  if (MayCorrectTheCount(env)) {
    int64_t sum;
    if (napi_adjust_external_memory(env, -bytes, &sum) == napi_ok) uncounted_ = bytes;
  }
  return buffer;
}

void File::Detach(napi_env env) {
  int64_t sum;
  if (uncounted_ != 0) napi_adjust_external_memory(env, uncounted_, &sum);
  uncounted_ = 0;
  napi_handle_scope scope;
  napi_value buffer;
  if (napi_open_handle_scope(env, &scope) == napi_ok) {
    // The environment's end has detached it already, which is no failure; who did is not known, nor what he made of it.
    bool before = true;
    const bool known = napi_get_reference_value(env, lent_, &buffer) == napi_ok &&
                       napi_is_detached_arraybuffer(env, buffer, &before) == napi_ok;
    // Now, and not with V8's part: who opens and closes in a loop would have all of it mapped until that ends.
    if (known && !before && napi_detach_arraybuffer(env, buffer) == napi_ok) lease_->mapping.reset();
    napi_close_handle_scope(env, scope);
  }
  napi_delete_reference(env, lent_);
  lent_ = nullptr;
  lease_.reset();
}

void File::Close(napi_env env) {
  if (descriptor_ == nullptr) return;
  UnlockAll(descriptor_->fd);
  descriptor_->closing.store(true, std::memory_order_relaxed);
  descriptor_.reset();
  if (lent_ != nullptr) Detach(env);
  mapping_.reset();
}

napi_value MakeHandle(napi_env env, std::unique_ptr<File> file) {
  return NewHandle(env, Kind::kFile, std::move(file), &FinalizeHandle);
}

File* FileOf(napi_env env, napi_value value) { return static_cast<File*>(ObjectOf(env, value, Kind::kFile)); }

}  // namespace millrace
