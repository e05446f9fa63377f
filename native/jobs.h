#ifndef MILLRACE_JOBS_H
#define MILLRACE_JOBS_H

#include <node_api.h>

#include <cstdint>
#include <memory>

#include "file.h"
#include "frames.h"

namespace millrace {

// Work on libuv's pool; each returns a promise, or nullptr with an exception pending. A job holds what it works on by
// itself: the handle may be closed, collected or gone with its thread while the job runs.
napi_value CreateFileJob(napi_env env, const FilePlan& plan);
napi_value PopulateFileJob(napi_env env, const File& file, size_t from);
napi_value AllocateFileJob(napi_env env, const File& file, int64_t bytes);
napi_value PunchHoleJob(napi_env env, const File& file, int64_t from, int64_t bytes);

// Fills in checksums; if asked to, it then lets go of the pages that are done with by that, and syncs. Resolves with where
// the frames ended: nothing is synced where that is not the end of the stretch. Goes on to its end when the handle is closed.
napi_value FlushFramesJob(napi_env env, const File& file, const Stretch& stretch, bool sync);

// Nothing stays open where the thread ends meanwhile.
napi_value SyncDirectoryJob(napi_env env, const PathText& directory);

// Resolves with the end of what was not 0.
napi_value ClearRestJob(napi_env env, const File& file, size_t start);

}  // namespace millrace

#endif
