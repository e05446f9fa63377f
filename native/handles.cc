#include "handles.h"

namespace millrace {
namespace {

const char kThisCopy = 0;  // its address is this copy of the addon's own

napi_type_tag TagOf(Kind kind) { return {static_cast<uint64_t>(kind), reinterpret_cast<uintptr_t>(&kThisCopy)}; }

}  // namespace

bool TagHandle(napi_env env, napi_value handle, Kind kind) {
  const napi_type_tag tag = TagOf(kind);
  return napi_type_tag_object(env, handle, &tag) == napi_ok;
}

void* ObjectOf(napi_env env, napi_value value, Kind kind) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external) return nullptr;
  const napi_type_tag tag = TagOf(kind);
  bool ours = false;
  void* object = nullptr;
  if (napi_check_object_type_tag(env, value, &tag, &ours) != napi_ok || !ours) return nullptr;
  if (napi_get_value_external(env, value, &object) != napi_ok) return nullptr;
  return object;
}

}  // namespace millrace
