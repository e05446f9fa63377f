#ifndef MILLRACE_JOBS_H
#define MILLRACE_JOBS_H

#include <node_api.h>

#include <cstdint>
#include <memory>

#include "file.h"

namespace millrace {

// Work on libuv's pool; each returns a promise, or nullptr with an exception pending. A job holds what it works on by
// itself: the handle may be closed, collected or gone with its thread while the job runs.
napi_value CreateFileJob(napi_env env, const PathText& directory, int64_t bytes, uint32_t permissions);
napi_value PopulateFileJob(napi_env env, const File& file);
napi_value AllocateFileJob(napi_env env, const File& file, int64_t bytes);

}  // namespace millrace

#endif
