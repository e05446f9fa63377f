#ifndef MILLRACE_ARGUMENTS_H
#define MILLRACE_ARGUMENTS_H

#include <napi.h>

#include <cstdint>

#include "bell.h"
#include "file.h"
#include "preparation.h"

namespace millrace {

// Takes a call's arguments apart. The first wrong one leaves a JavaScript exception pending and makes ok() false; the
// values that were taken after it mean nothing. TypeScript has checked them already: this only keeps a wrong call from
// being a crash.
class Arguments {
 public:
  // `function` is a literal: the name that messages carry.
  Arguments(const Napi::CallbackInfo& info, const char* function) : info_(info), function_(function) {}

  // Never nullptr where ok().
  File* OpenFile(size_t index);
  Bell* OpenBell(size_t index);
  Preparation* OpenPreparation(size_t index);
  PathText Path(size_t index);
  int64_t Integer(size_t index, int64_t low, int64_t high);
  bool Boolean(size_t index);

  bool ok() const { return ok_; }

 private:
  void Refuse(size_t index, const char* wanted);

  const Napi::CallbackInfo& info_;
  const char* const function_;
  bool ok_ = true;
};

// A part of a Uint8Array's bytes, for calls where every nanosecond counts.
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
