#ifndef MILLRACE_ERRORS_H
#define MILLRACE_ERRORS_H

#include <node_api.h>

#include <cstdint>

namespace millrace {

// What went wrong in the kernel, carried across threads as plain data: a JavaScript error can only be made on its own
// thread. `call` is always a literal.
struct Failure {
  int error = 0;
  const char* call = "";

  explicit operator bool() const { return error != 0; }
};

// The failure that errno names now.
Failure LastFailure(const char* call);

// An Error with Node's own fields: errno (negative, as in Node), code, syscall; nullptr while the thread is ending.
napi_value MakeError(napi_env env, const Failure& failure);

// All of these leave an exception pending, or none if one is pending already.
void Throw(napi_env env, const Failure& failure);
void ThrowTypeError(napi_env env, const char* message);
void ThrowRangeError(napi_env env, const char* message);

}  // namespace millrace

#endif
