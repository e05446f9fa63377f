#ifndef MILLRACE_HANDLES_H
#define MILLRACE_HANDLES_H

#include <node_api.h>

#include <cstdint>
#include <memory>

namespace millrace {

// What JavaScript holds of an object here: an external, tagged with the kind of the object. A handle from another copy
// of the addon in this process is foreign, too.
enum class Kind : uint64_t { kFile = 1, kBell, kPreparation };

bool TagHandle(napi_env env, napi_value handle, Kind kind);

// The object behind such a handle of this kind; nullptr for anything else.
void* ObjectOf(napi_env env, napi_value value, Kind kind);

// Hands the object to JavaScript, whose collection ends it by `finalize`; nullptr if the thread is ending.
template <typename Object>
napi_value NewHandle(napi_env env, Kind kind, std::unique_ptr<Object> object, napi_finalize finalize) {
  napi_value handle;
  if (napi_create_external(env, object.get(), finalize, nullptr, &handle) != napi_ok) return nullptr;
  object.release();  // from here on the external owns it
  return TagHandle(env, handle, kind) ? handle : nullptr;
}

}  // namespace millrace

#endif
