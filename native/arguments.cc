#include "arguments.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace {

Arguments::Arguments(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kMost;
  void* name = nullptr;
  // Fills up with undefined where fewer were given.
  ok_ = napi_get_cb_info(env, info, &count, given_, nullptr, &name) == napi_ok;
  if (ok_) function_ = static_cast<const char*>(name);
}

void Arguments::Refuse(size_t index, const char* wanted) {
  if (!ok_) return;
  ok_ = false;
  char message[160];
  std::snprintf(message, sizeof message, "%s: argument %zu must be %s", function_, index + 1, wanted);
  ThrowTypeError(env_, message);
}

File* Arguments::AnyFile(size_t index) {
  File* file = ok_ ? FileOf(env_, given_[index]) : nullptr;
  if (file == nullptr) Refuse(index, "a file of this addon");
  return file;
}

File* Arguments::OpenFile(size_t index) {
  File* file = AnyFile(index);
  if (ok_ && file->closed()) {
    ok_ = false;
    Throw(env_, {EBADF, function_, -1});
  }
  return file;
}

PathText Arguments::Path(size_t index) {
  PathText path;
  size_t bytes = 0;
  size_t copied = 0;
  if (!ok_) return path;
  if (napi_get_value_string_utf8(env_, given_[index], nullptr, 0, &bytes) != napi_ok) {
    Refuse(index, "a path");
  } else if (bytes >= sizeof path.text) {
    ok_ = false;
    Throw(env_, {ENAMETOOLONG, function_, -1});
  } else if (napi_get_value_string_utf8(env_, given_[index], path.text, sizeof path.text, &copied) != napi_ok ||
             copied == 0 || std::memchr(path.text, 0, copied) != nullptr) {
    Refuse(index, "a path");  // the kernel would stop at a zero byte and take another file
  }
  return path;
}

int64_t Arguments::Integer(size_t index, int64_t low, int64_t high) {
  double value = 0;
  if (!ok_) return low;
  if (napi_get_value_double(env_, given_[index], &value) != napi_ok || !(value >= static_cast<double>(low)) ||
      !(value <= static_cast<double>(high)) || static_cast<double>(static_cast<int64_t>(value)) != value) {
    Refuse(index, "a whole number within bounds");
    return low;
  }
  return static_cast<int64_t>(value);
}

bool Arguments::Boolean(size_t index) {
  bool value = false;
  if (!ok_) return value;
  if (napi_get_value_bool(env_, given_[index], &value) != napi_ok) Refuse(index, "true or false");
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
