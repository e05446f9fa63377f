#include "jobs.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "disk.h"

namespace millrace {
namespace {

class Job {
 public:
  virtual ~Job() = default;

  // Gives the job to the pool, which owns it from then on.
  static napi_value Start(napi_env env, std::unique_ptr<Job> job) {
    napi_value name, promise;
    napi_status status = napi_create_string_utf8(env, "millrace", NAPI_AUTO_LENGTH, &name);
    if (status == napi_ok) status = napi_create_promise(env, &job->deferred_, &promise);
    if (status == napi_ok) {
      status = napi_create_async_work(env, nullptr, name, &Job::OnPool, &Job::Finish, job.get(), &job->work_);
    }
    if (status == napi_ok) {
      status = napi_queue_async_work(env, job->work_);
      if (status != napi_ok) napi_delete_async_work(env, job->work_);
    }
    if (status != napi_ok) {
      Throw(env, {ENOMEM, "napi_queue_async_work"});
      return nullptr;
    }
    job.release();
    return promise;
  }

 protected:
  // On the pool: no JavaScript, whatever happens to its thread.
  virtual Failure Run() = 0;
  virtual napi_value Result(napi_env env) {
    napi_value undefined = nullptr;
    napi_get_undefined(env, &undefined);
    return undefined;
  }

 private:
  static void OnPool(napi_env, void* data) {
    Job* job = static_cast<Job*>(data);
    job->failure_ = job->Run();
  }

  // On the JavaScript thread, where every call may fail because that thread is being terminated: then nobody is left to
  // tell, and what the job made is let go with it. A cancelled job never ran and has no result.
  static void Finish(napi_env env, napi_status status, void* data) {
    std::unique_ptr<Job> job(static_cast<Job*>(data));
    napi_delete_async_work(env, job->work_);
    if (status != napi_ok && !job->failure_) job->failure_ = {ECANCELED, "uv_queue_work"};
    napi_value value = job->failure_ ? MakeError(env, job->failure_) : job->Result(env);
    if (value == nullptr) return;
    if (job->failure_) {
      napi_reject_deferred(env, job->deferred_, value);
    } else {
      napi_resolve_deferred(env, job->deferred_, value);
    }
  }

  Failure failure_;
  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
};

class Creation final : public Job {
 public:
  explicit Creation(const FilePlan& plan) : plan_(plan) {}

 private:
  Failure Run() override {
    Failure failure;
    const std::atomic<bool> never{false};
    file_ = File::Create(plan_, Pace(never), &failure);
    return failure ? failure : file_->MakeReady(plan_.pages, Pace(never));
  }
  napi_value Result(napi_env env) override { return MakeHandle(env, std::move(file_)); }

  const FilePlan plan_;
  std::unique_ptr<File> file_;
};

class Population final : public Job {
 public:
  Population(const File& file, size_t from) : descriptor_(file.descriptor()), mapping_(file.mapping()), from_(from) {}

 private:
  Failure Run() override { return mapping_->Populate(from_, false, Pace(descriptor_->closing)); }

  const std::shared_ptr<Descriptor> descriptor_;
  const std::shared_ptr<Mapping> mapping_;
  const size_t from_;
};

class Allocation final : public Job {
 public:
  Allocation(const File& file, int64_t bytes) : descriptor_(file.descriptor()), bytes_(bytes) {}

 private:
  Failure Run() override { return Allocate(descriptor_->fd, bytes_, Pace(descriptor_->closing)); }

  const std::shared_ptr<Descriptor> descriptor_;
  const int64_t bytes_;
};

class Punching final : public Job {
 public:
  Punching(const File& file, int64_t from, int64_t bytes)
      : descriptor_(file.descriptor()), from_(from), bytes_(bytes) {}

 private:
  Failure Run() override { return PunchHole(descriptor_->fd, from_, bytes_, Pace(descriptor_->closing)); }

  const std::shared_ptr<Descriptor> descriptor_;
  const int64_t from_;
  const int64_t bytes_;
};

napi_value Offset(napi_env env, size_t offset) {
  napi_value number = nullptr;
  napi_create_double(env, static_cast<double>(offset), &number);
  return number;
}

class Flush final : public Job {
 public:
  Flush(const File& file, const Stretch& stretch, bool sync)
      : descriptor_(file.descriptor()), mapping_(file.mapping()), stretch_(stretch), sync_(sync) {}

 private:
  Failure Run() override {
    size_t unknown = 0;
    mapping_->unsynced()->compare_exchange_strong(unknown, stretch_.start);
    stopped_ = SumFrames(reinterpret_cast<uint8_t*>(mapping_->data()), stretch_, mapping_->summed());
    if (!sync_ || stopped_ != stretch_.end) return {};
    // What has its checksum is done with, by whichever job: a file whose stream has ended is synced without a stretch.
    const size_t done = std::max(stopped_, mapping_->summed()->load());
    mapping_->LetGo(mapping_->unsynced()->exchange(done), done);
    return SyncData(descriptor_->fd);
  }
  napi_value Result(napi_env env) override { return Offset(env, stopped_); }

  const std::shared_ptr<Descriptor> descriptor_;
  const std::shared_ptr<Mapping> mapping_;
  const Stretch stretch_;
  const bool sync_;
  size_t stopped_ = 0;
};

class DirectorySync final : public Job {
 public:
  explicit DirectorySync(const PathText& directory) : directory_(directory) {}

 private:
  Failure Run() override { return SyncDirectory(directory_.text); }

  const PathText directory_;
};

class Clearing final : public Job {
 public:
  Clearing(const File& file, size_t start)
      : descriptor_(file.descriptor()), mapping_(file.mapping()), start_(start) {}

 private:
  Failure Run() override {
    cleared_ = mapping_->Clear(start_, Pace(descriptor_->closing));
    if (descriptor_->closing.load(std::memory_order_relaxed)) return {ECANCELED, "memset"};
    return {};
  }
  napi_value Result(napi_env env) override { return Offset(env, cleared_); }

  const std::shared_ptr<Descriptor> descriptor_;
  const std::shared_ptr<Mapping> mapping_;
  const size_t start_;
  size_t cleared_ = 0;
};

}  // namespace

napi_value CreateFileJob(napi_env env, const FilePlan& plan) {
  return Job::Start(env, std::make_unique<Creation>(plan));
}

napi_value PopulateFileJob(napi_env env, const File& file, size_t from) {
  return Job::Start(env, std::make_unique<Population>(file, from));
}

napi_value AllocateFileJob(napi_env env, const File& file, int64_t bytes) {
  return Job::Start(env, std::make_unique<Allocation>(file, bytes));
}

napi_value PunchHoleJob(napi_env env, const File& file, int64_t from, int64_t bytes) {
  return Job::Start(env, std::make_unique<Punching>(file, from, bytes));
}

napi_value FlushFramesJob(napi_env env, const File& file, const Stretch& stretch, bool sync) {
  return Job::Start(env, std::make_unique<Flush>(file, stretch, sync));
}

napi_value SyncDirectoryJob(napi_env env, const PathText& directory) {
  return Job::Start(env, std::make_unique<DirectorySync>(directory));
}

napi_value ClearRestJob(napi_env env, const File& file, size_t start) {
  return Job::Start(env, std::make_unique<Clearing>(file, start));
}

}  // namespace millrace
