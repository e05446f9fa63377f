// The exports, and nothing but their arguments and results; lib/native.ts says what each does.
#include <node_api.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "arguments.h"
#include "crc32c.h"
#include "errors.h"
#include "file.h"
#include "jobs.h"
#include "locks.h"
#include "mapping.h"

namespace millrace {
namespace {

constexpr int64_t kMostPermissions = 07777;
constexpr int64_t kLastByte = INT32_MAX;

// Every export returns nullptr for undefined, also where an exception is pending.

napi_value Done(const Arguments& in, const Failure& failure) {
  if (failure) Throw(in.env(), failure);
  return nullptr;
}

napi_value Boolean(const Arguments& in, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(in.env(), value, &result);
  return result;
}

napi_value CreateFile(Arguments& in) {
  const PathText directory = in.Path(0);
  const int64_t bytes = in.Integer(1, 1, kLargestFile);
  const int64_t permissions = in.Integer(2, 0, kMostPermissions);
  if (!in.ok()) return nullptr;
  return CreateFileJob(in.env(), directory, bytes, static_cast<uint32_t>(permissions));
}

napi_value OpenFile(Arguments& in) {
  const PathText path = in.Path(0);
  const bool writable = in.Boolean(1);
  if (!in.ok()) return nullptr;
  Failure failure;
  std::unique_ptr<File> file = File::Open(path, writable, &failure);
  if (failure) return Done(in, failure);
  return MakeHandle(in.env(), std::move(file));
}

napi_value StatFile(Arguments& in) {
  const File* file = in.OpenFile(0);
  if (!in.ok()) return nullptr;
  FileFacts facts;
  const Failure failure = file->Stat(&facts);
  if (failure) return Done(in, failure);
  const struct {
    const char* name;
    double value;
  } numbers[] = {
      {"bytes", static_cast<double>(facts.bytes)},
      {"device", facts.device},
      {"inode", facts.inode},
      {"links", static_cast<double>(facts.links)},
      {"fileSystem", static_cast<double>(facts.file_system)},
      {"freeBytes", facts.free_bytes},
  };
  napi_value result, value;
  if (napi_create_object(in.env(), &result) != napi_ok) return nullptr;
  for (const auto& number : numbers) {
    if (napi_create_double(in.env(), number.value, &value) != napi_ok) return nullptr;
    if (napi_set_named_property(in.env(), result, number.name, value) != napi_ok) return nullptr;
  }
  value = Boolean(in, facts.regular);
  return napi_set_named_property(in.env(), result, "regular", value) == napi_ok ? result : nullptr;
}

napi_value MapFile(Arguments& in) {
  File* file = in.OpenFile(0);
  return in.ok() ? file->Lend(in.env()) : nullptr;
}

napi_value AllowWrites(Arguments& in) {
  File* file = in.OpenFile(0);
  const size_t bytes = static_cast<size_t>(in.Integer(1, 0, kLargestFile));
  if (!in.ok()) return nullptr;
  const Failure failure = file->Map(false);
  if (failure) return Done(in, failure);
  // The last page may be there in part only.
  if (bytes % kPageBytes != 0 || bytes > (file->mapping()->bytes() + kPageBytes - 1) / kPageBytes * kPageBytes) {
    ThrowRangeError(in.env(), "allowWrites: argument 2 must be a number of whole pages of the file");
    return nullptr;
  }
  return Done(in, file->mapping()->AllowWrites(bytes));
}

napi_value PopulateFile(Arguments& in) {
  File* file = in.OpenFile(0);
  if (!in.ok()) return nullptr;
  const Failure failure = file->Map(false);
  return failure ? Done(in, failure) : PopulateFileJob(in.env(), *file);
}

napi_value AllocateFile(Arguments& in) {
  const File* file = in.OpenFile(0);
  if (!in.ok()) return nullptr;
  FileFacts facts;
  const Failure failure = file->Stat(&facts);
  return failure ? Done(in, failure) : AllocateFileJob(in.env(), *file, facts.bytes);
}

napi_value LinkFile(Arguments& in) {
  const File* file = in.OpenFile(0);
  const PathText path = in.Path(1);
  return in.ok() ? Done(in, file->Link(path)) : nullptr;
}

napi_value TakeByte(Arguments& in) {
  const File* file = in.OpenFile(0);
  const int64_t byte = in.Integer(1, 0, kLastByte);
  if (!in.ok()) return nullptr;
  // The kernel's word for it is EBADF, which here says that the handle is closed.
  if (!file->writable()) return Done(in, {EACCES, "fcntl(F_OFD_SETLK)", -1});
  bool taken = false;
  const Failure failure = LockByte(file->fd(), byte, &taken);
  return failure ? Done(in, failure) : Boolean(in, taken);
}

napi_value GiveByte(Arguments& in) {
  const File* file = in.OpenFile(0);
  const int64_t byte = in.Integer(1, 0, kLastByte);
  return in.ok() ? Done(in, UnlockByte(file->fd(), byte)) : nullptr;
}

napi_value IsLocked(Arguments& in) {
  const File* file = in.OpenFile(0);
  const int64_t byte = in.Integer(1, 0, kLastByte);
  if (!in.ok()) return nullptr;
  bool locked = false;
  const Failure failure = IsByteLocked(file->fd(), byte, &locked);
  return failure ? Done(in, failure) : Boolean(in, locked);
}

napi_value CloseFile(Arguments& in) {
  File* file = in.AnyFile(0);
  if (in.ok()) file->Close(in.env());
  return nullptr;
}

template <napi_value (*export_)(Arguments&)>
napi_value Call(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  return export_(in);
}

// The two that are called for each record take their arguments apart themselves.

napi_value Checksum(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value in[4];
  Slice bytes;
  size_t start, end;
  uint32_t crc;
  if (napi_get_cb_info(env, info, &count, in, nullptr, nullptr) != napi_ok) return nullptr;
  if (!BytesOf(env, in[0], &bytes) || !IndexOf(env, in[2], 0, bytes.bytes, &end) ||
      !IndexOf(env, in[1], 0, end, &start)) {
    return nullptr;
  }
  if (napi_get_value_uint32(env, in[3], &crc) != napi_ok) {
    ThrowTypeError(env, "crc32c: argument 4 must be a number");
    return nullptr;
  }
  napi_value result;
  const uint32_t sum = Crc32c(crc, bytes.data + start, end - start);
  return napi_create_int32(env, static_cast<int32_t>(sum), &result) == napi_ok ? result : nullptr;
}

napi_value CopyBytes(napi_env env, napi_callback_info info) {
  size_t count = 5;
  napi_value in[5];
  Slice target, source;
  size_t to, start, end;
  if (napi_get_cb_info(env, info, &count, in, nullptr, nullptr) != napi_ok) return nullptr;
  if (!BytesOf(env, in[0], &target) || !IndexOf(env, in[1], 0, target.bytes, &to) || !BytesOf(env, in[2], &source) ||
      !IndexOf(env, in[4], 0, source.bytes, &end) || !IndexOf(env, in[3], 0, end, &start)) {
    return nullptr;
  }
  if (end - start > target.bytes - to) {
    ThrowRangeError(env, "copyBytes: the target has no room for that much");
    return nullptr;
  }
  // Detached or empty arrays have no address at all.
  if (end != start) std::memmove(target.data + to, source.data + start, end - start);
  return nullptr;
}

// Its data is the function's own name.
napi_property_descriptor Method(const char* name, napi_callback callback) {
  return {name, nullptr, callback, nullptr, nullptr, nullptr, napi_default_jsproperty, const_cast<char*>(name)};
}

}  // namespace
}  // namespace millrace

NAPI_MODULE_INIT() {
  using namespace millrace;
  const napi_property_descriptor methods[] = {
      Method("createFile", &Call<CreateFile>),
      Method("openFile", &Call<OpenFile>),
      Method("statFile", &Call<StatFile>),
      Method("mapFile", &Call<MapFile>),
      Method("allowWrites", &Call<AllowWrites>),
      Method("populateFile", &Call<PopulateFile>),
      Method("allocateFile", &Call<AllocateFile>),
      Method("linkFile", &Call<LinkFile>),
      Method("lockByte", &Call<TakeByte>),
      Method("unlockByte", &Call<GiveByte>),
      Method("isByteLocked", &Call<IsLocked>),
      Method("closeFile", &Call<CloseFile>),
      Method("crc32c", &Checksum),
      Method("copyBytes", &CopyBytes),
  };
  napi_define_properties(env, exports, sizeof methods / sizeof *methods, methods);
  return exports;
}
