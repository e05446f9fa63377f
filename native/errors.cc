#include "errors.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace {
namespace {

// strerrorname_np would do, but needs glibc 2.32.
const char* CodeName(int error) {
  switch (error) {
#define MR_CODE(name) \
  case name:          \
    return #name;
    MR_CODE(EACCES)
    MR_CODE(EAGAIN)
    MR_CODE(EBADF)
    MR_CODE(EBADMSG)
    MR_CODE(EBUSY)
    MR_CODE(ECANCELED)
    MR_CODE(EDEADLK)
    MR_CODE(EDQUOT)
    MR_CODE(EEXIST)
    MR_CODE(EFAULT)
    MR_CODE(EFBIG)
    MR_CODE(EHWPOISON)
    MR_CODE(EINTR)
    MR_CODE(EINVAL)
    MR_CODE(EIO)
    MR_CODE(EISDIR)
    MR_CODE(ELOOP)
    MR_CODE(EMFILE)
    MR_CODE(EMLINK)
    MR_CODE(ENAMETOOLONG)
    MR_CODE(ENFILE)
    MR_CODE(ENODEV)
    MR_CODE(ENOENT)
    MR_CODE(ENOKEY)
    MR_CODE(ENOLCK)
    MR_CODE(ENOMEM)
    MR_CODE(ENOSPC)
    MR_CODE(ENOSYS)
    MR_CODE(ENOTDIR)
    MR_CODE(ENXIO)
    MR_CODE(EOPNOTSUPP)
    MR_CODE(EOVERFLOW)
    MR_CODE(EPERM)
    MR_CODE(EREMOTEIO)
    MR_CODE(EROFS)
    MR_CODE(ESHUTDOWN)
    MR_CODE(ESTALE)
    MR_CODE(ETIMEDOUT)
    MR_CODE(ETXTBSY)
    MR_CODE(EUCLEAN)
    MR_CODE(EXDEV)
#undef MR_CODE
    default:
      return "EUNKNOWN";
  }
}

// There are two kinds of strerror_r: glibc's returns the words, wherever they are; musl's fills the buffer.
[[maybe_unused]] const char* Words(const char* words, const char*) { return words; }
[[maybe_unused]] const char* Words(int, const char* buffer) { return buffer; }

bool SetProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  return napi_set_named_property(env, object, name, value) == napi_ok;
}

bool ThrowIsPending(napi_env env) {
  bool pending = false;
  return napi_is_exception_pending(env, &pending) != napi_ok || pending;
}

}  // namespace

Failure LastFailure(const char* call) { return Failure{errno, call}; }

napi_value MakeError(napi_env env, const Failure& failure) {
  const char* name = CodeName(failure.error);
  char scratch[128] = "";
  const char* words = Words(strerror_r(failure.error, scratch, sizeof scratch), scratch);
  char text[256];
  std::snprintf(text, sizeof text, "%s: %s, %s", name, words, failure.call);

  napi_value code, message, number, call, error;
  // Any of these fails where the thread is being terminated; nobody will see the error then.
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) != napi_ok ||
      napi_create_int32(env, -failure.error, &number) != napi_ok ||
      napi_create_string_utf8(env, failure.call, NAPI_AUTO_LENGTH, &call) != napi_ok ||
      napi_create_error(env, code, message, &error) != napi_ok || !SetProperty(env, error, "errno", number) ||
      !SetProperty(env, error, "syscall", call)) {
    return nullptr;
  }
  return error;
}

void Throw(napi_env env, const Failure& failure) {
  if (ThrowIsPending(env)) return;
  napi_value error = MakeError(env, failure);
  if (error != nullptr) napi_throw(env, error);
}

void ThrowTypeError(napi_env env, const char* message) {
  if (!ThrowIsPending(env)) napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
}

void ThrowRangeError(napi_env env, const char* message) {
  if (!ThrowIsPending(env)) napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
}

}  // namespace millrace
