#include "record_calls.h"

#include <algorithm>
#include <cstring>

#include "arguments.h"
#include "crc32c.h"
#include "errors.h"
#include "frames.h"

namespace millrace {
namespace {

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

napi_value CheckThese(napi_env env, napi_callback_info info) {
  size_t count = 6;
  napi_value in[6];
  Slice bytes;
  Stretch stretch;
  double strict_end;
  if (napi_get_cb_info(env, info, &count, in, nullptr, nullptr) != napi_ok) return nullptr;
  if (!BytesOf(env, in[0], &bytes) || !IndexOf(env, in[2], 0, bytes.bytes, &stretch.end) ||
      !IndexOf(env, in[1], 0, stretch.end, &stretch.start)) {
    return nullptr;
  }
  if (napi_get_value_uint32(env, in[3], &stretch.stamp) != napi_ok ||
      napi_get_value_uint32(env, in[4], &stretch.incarnation) != napi_ok ||
      napi_get_value_double(env, in[5], &strict_end) != napi_ok || strict_end != strict_end ||
      reinterpret_cast<uintptr_t>(bytes.data + stretch.start) % sizeof(uint32_t) != 0) {
    ThrowTypeError(env, "checkFrames: numbers are needed, and frames that are aligned");
    return nullptr;
  }
  napi_value result;
  const double end = static_cast<double>(stretch.end);
  const size_t strict = static_cast<size_t>(std::min(std::max(strict_end, 0.0), end));
  const size_t stopped = CheckFrames(bytes.data, stretch, strict);
  return napi_create_int64(env, static_cast<int64_t>(stopped), &result) == napi_ok ? result : nullptr;
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

}  // namespace

void DefineRecordCalls(napi_env env, napi_value exports) {
  const napi_property_descriptor calls[] = {
      {"crc32c", nullptr, &Checksum, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"checkFrames", nullptr, &CheckThese, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"copyBytes", nullptr, &CopyBytes, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, 3, calls);
}

}  // namespace millrace
