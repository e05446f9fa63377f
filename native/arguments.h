#ifndef MILLRACE_ARGUMENTS_H
#define MILLRACE_ARGUMENTS_H

#include <node_api.h>

#include <cstddef>
#include <cstdint>

#include "file.h"

namespace millrace {

// A call from JavaScript, to be taken apart. The first wrong argument leaves an exception pending and makes ok() false;
// the values that were taken after it mean nothing. TypeScript has checked them already: this only keeps a wrong call
// from being a crash.
class Arguments {
 public:
  // The export's name, for messages, comes with its registration.
  Arguments(napi_env env, napi_callback_info info);

  // Never nullptr where ok().
  File* OpenFile(size_t index);
  File* AnyFile(size_t index);
  PathText Path(size_t index);
  int64_t Integer(size_t index, int64_t low, int64_t high);
  bool Boolean(size_t index);

  bool ok() const { return ok_; }
  napi_env env() const { return env_; }

 private:
  static constexpr size_t kMost = 3;

  void Refuse(size_t index, const char* wanted);

  const napi_env env_;
  const char* function_ = "";
  napi_value given_[kMost];
  bool ok_ = true;
};

// Bytes that a Uint8Array shows; for calls where every nanosecond counts.
struct Slice {
  uint8_t* data = nullptr;
  size_t bytes = 0;
};

// The bytes of a Uint8Array (a Buffer too); false with an exception pending.
bool BytesOf(napi_env env, napi_value value, Slice* slice);

// A whole number in [low, high]; false with an exception pending.
bool IndexOf(napi_env env, napi_value value, size_t low, size_t high, size_t* index);

}  // namespace millrace

#endif
