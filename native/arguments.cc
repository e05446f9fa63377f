#include "arguments.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace {

void Arguments::Refuse(size_t index, const char* wanted) {
  if (!ok_) return;
  ok_ = false;
  char message[160];
  std::snprintf(message, sizeof message, "%s: argument %zu must be %s", function_, index + 1, wanted);
  ThrowTypeError(info_.Env(), message);
}

File* Arguments::OpenFile(size_t index) {
  File* file = FileOf(info_.Env(), info_[index]);
  if (file == nullptr) {
    Refuse(index, "a file of this addon");
  } else if (file->closed() && ok_) {
    ok_ = false;
    Throw(info_.Env(), {EBADF, function_});
  }
  return file;
}

Bell* Arguments::OpenBell(size_t index) {
  Bell* bell = Bell::Of(info_.Env(), info_[index]);
  if (bell == nullptr) Refuse(index, "a bell of this addon");
  return bell;
}

Preparation* Arguments::OpenPreparation(size_t index) {
  Preparation* preparation = PreparationOf(info_.Env(), info_[index]);
  if (preparation == nullptr) Refuse(index, "a preparation of this addon");
  return preparation;
}

PathText Arguments::Path(size_t index) {
  PathText path;
  size_t bytes = 0;
  size_t copied = 0;
  if (napi_get_value_string_utf8(info_.Env(), info_[index], nullptr, 0, &bytes) != napi_ok) {
    Refuse(index, "a path");
  } else if (bytes >= sizeof path.text) {
    if (ok_) Throw(info_.Env(), {ENAMETOOLONG, function_});
    ok_ = false;
  } else if (napi_get_value_string_utf8(info_.Env(), info_[index], path.text, sizeof path.text, &copied) != napi_ok ||
             copied == 0 || std::memchr(path.text, 0, copied) != nullptr) {
    Refuse(index, "a path");  // the kernel would stop at a zero byte and take another file
  }
  return path;
}

int64_t Arguments::Integer(size_t index, int64_t low, int64_t high) {
  double value = 0;
  if (napi_get_value_double(info_.Env(), info_[index], &value) != napi_ok || !(value >= static_cast<double>(low)) ||
      !(value <= static_cast<double>(high)) || static_cast<double>(static_cast<int64_t>(value)) != value) {
    Refuse(index, "a whole number within bounds");
    return low;
  }
  return static_cast<int64_t>(value);
}

bool Arguments::Boolean(size_t index) {
  bool value = false;
  if (napi_get_value_bool(info_.Env(), info_[index], &value) != napi_ok) Refuse(index, "true or false");
  return value;
}

bool BytesOf(napi_env env, napi_value value, Slice* slice) {
  napi_typedarray_type type;
  void* data;
  if (napi_get_typedarray_info(env, value, &type, &slice->bytes, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    ThrowTypeError(env, "A Uint8Array is needed here");
    return false;
  }
  slice->data = static_cast<uint8_t*>(data);
  return true;
}

bool IndexOf(napi_env env, napi_value value, size_t low, size_t high, size_t* index) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    ThrowTypeError(env, "A number is needed here");
    return false;
  }
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) ||
      static_cast<double>(static_cast<size_t>(number)) != number) {
    ThrowRangeError(env, "An index is not a whole number within the bytes");
    return false;
  }
  *index = static_cast<size_t>(number);
  return true;
}

}  // namespace millrace
