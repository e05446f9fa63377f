#ifndef MILLRACE_RECORD_CALLS_H
#define MILLRACE_RECORD_CALLS_H

#include <node_api.h>

namespace millrace {

// The exports that are called for a record, or a few. They go without node-addon-api's wrapper, which costs as much as
// they do.
void DefineRecordCalls(napi_env env, napi_value exports);

}  // namespace millrace

#endif
