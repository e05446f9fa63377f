#include "preparation.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "disk.h"
#include "handles.h"
#include "threads.h"
#include "wake.h"

namespace millrace {

namespace {

constexpr int64_t kLookAgainNanoseconds = 1000 * 1000 * 1000;
// So much nicer than the process: a third of what an event loop gets of a cpu that both want.
constexpr int kNicer = 5;

// Of the calling thread, which is what Linux takes a process for here, and for good: who may not do it can't undo it either.
void StandBehindOthers() { setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + kNicer); }

}  // namespace

// The thread's alone until `ready`, and the handle's from then on. Goes with the last of the two to let go.
struct Preparation::Work {
  const FilePlan plan;
  std::atomic<bool> dropped{false};
  std::atomic<bool> hurried;
  std::atomic<uint32_t> ready{0};
  std::unique_ptr<File> file;
  Failure failure;

  Work(const FilePlan& the_plan, bool in_a_hurry) : plan(the_plan), hurried(in_a_hurry) {}

  void Make() {
    if (!hurried.load(std::memory_order_relaxed)) StandBehindOthers();
    const Pace pace(dropped, &hurried);
    file = File::Create(plan, pace, &failure);
    if (!failure) failure = file->MakeReady(plan.pages, pace);
    if (failure) file.reset();
  }

  const uint32_t* word() const {
    static_assert(sizeof ready == sizeof(uint32_t), "A thread sleeps on it");
    return reinterpret_cast<const uint32_t*>(&ready);
  }
};

std::unique_ptr<Preparation> Preparation::Begin(const FilePlan& plan, bool hurried, Failure* failure) {
  // make_shared would take more of libstdc++ than a glibc of 2.28 has (see glibc.cc).
  const std::shared_ptr<Work> work(new Work(plan, hurried));
  auto threads_part = std::make_unique<std::shared_ptr<Work>>(work);
  if (!StartThread(&Preparation::Make, threads_part.get())) {
    *failure = {EAGAIN, "pthread_create"};
    return nullptr;
  }
  threads_part.release();  // the thread has it
  return std::unique_ptr<Preparation>(new Preparation(work));
}

void* Preparation::Make(void* shared) {
  prctl(PR_SET_NAME, "millrace-file");
  const std::unique_ptr<std::shared_ptr<Work>> part(static_cast<std::shared_ptr<Work>*>(shared));
  Work& work = **part;
  work.Make();
  work.ready.store(1, std::memory_order_release);
  WakeAllOn(work.word());
  return nullptr;
}

bool Preparation::Ready() const { return work_->ready.load(std::memory_order_acquire) != 0; }

void Preparation::Wait() {
  work_->hurried.store(true, std::memory_order_relaxed);
  while (!Ready()) SleepOn(work_->word(), 0, kLookAgainNanoseconds);
}

std::unique_ptr<File> Preparation::Take(Failure* failure) {
  *failure = work_->failure;
  std::unique_ptr<File> file = std::move(work_->file);
  work_.reset();
  return file;
}

void Preparation::Drop() {
  if (over()) return;
  work_->dropped.store(true, std::memory_order_relaxed);
  work_.reset();
}

napi_value MakeHandle(napi_env env, std::unique_ptr<Preparation> preparation) {
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Preparation*>(data); };
  return NewHandle(env, Kind::kPreparation, std::move(preparation), finalize);
}

Preparation* PreparationOf(napi_env env, napi_value value) {
  return static_cast<Preparation*>(ObjectOf(env, value, Kind::kPreparation));
}

}  // namespace millrace
