// The exports, and nothing but their arguments and results; lib/native.ts says what each does.
#include <napi.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "arguments.h"
#include "bell.h"
#include "disk.h"
#include "errors.h"
#include "file.h"
#include "frames.h"
#include "jobs.h"
#include "layout.h"
#include "locks.h"
#include "mapping.h"
#include "preparation.h"
#include "record_calls.h"
#include "wake.h"

namespace millrace {
namespace {

using Info = const Napi::CallbackInfo&;

constexpr int64_t kMostPermissions = 07777;
constexpr int64_t kLastByte = INT32_MAX;
constexpr int64_t kLongestSleepMs = 60 * 1000;
constexpr int64_t kNanosecondsAMs = 1000 * 1000;

// nullptr stands for "an exception is pending".
Napi::Value Returned(Napi::Env env, napi_value value) {
  return value == nullptr ? env.Undefined() : Napi::Value(env, value);
}

Napi::Value Done(Napi::Env env, const Failure& failure) {
  if (failure) Throw(env, failure);
  return env.Undefined();
}

// Arguments 1 to 3 of those that make a file, and 4 of those that populate it.
FilePlan PlanOf(Arguments& in) {
  FilePlan plan;
  plan.directory = in.Path(0);
  plan.bytes = in.Integer(1, 1, kLargestFile);
  plan.permissions = static_cast<uint32_t>(in.Integer(2, 0, kMostPermissions));
  return plan;
}

Pages PagesOf(Arguments& in) {
  return static_cast<Pages>(in.Integer(3, static_cast<int64_t>(Pages::kDirty), static_cast<int64_t>(Pages::kSynced)));
}

Napi::Value CreateFile(Info info) {
  Arguments in(info, "createFile");
  FilePlan plan = PlanOf(in);
  plan.pages = PagesOf(in);
  if (!in.ok()) return info.Env().Undefined();
  return Returned(info.Env(), CreateFileJob(info.Env(), plan));
}

Napi::Value CreateFileNow(Info info) {
  Arguments in(info, "createFileNow");
  const FilePlan plan = PlanOf(in);
  if (!in.ok()) return info.Env().Undefined();
  Failure failure;
  std::unique_ptr<File> file = File::Create(plan, Pace::AtOnce(), &failure);
  if (failure) return Done(info.Env(), failure);
  return Returned(info.Env(), MakeHandle(info.Env(), std::move(file)));
}

Napi::Value PrepareFile(Info info) {
  Arguments in(info, "prepareFile");
  FilePlan plan = PlanOf(in);
  plan.pages = PagesOf(in);
  const bool hurried = in.Boolean(4);
  if (!in.ok()) return info.Env().Undefined();
  Failure failure;
  std::unique_ptr<Preparation> preparation = Preparation::Begin(plan, hurried, &failure);
  if (failure) return Done(info.Env(), failure);
  return Returned(info.Env(), MakeHandle(info.Env(), std::move(preparation)));
}

Napi::Value TakePrepared(Info info) {
  Arguments in(info, "takePrepared");
  Preparation* preparation = in.OpenPreparation(0);
  const bool wait = in.Boolean(1);
  if (!in.ok()) return info.Env().Undefined();
  if (preparation->over()) {
    napi_throw_error(info.Env(), "ERR_INVALID_STATE", "takePrepared: this preparation was taken or dropped before");
    return info.Env().Undefined();
  }
  if (wait) preparation->Wait();
  if (!preparation->Ready()) return info.Env().Undefined();
  Failure failure;
  std::unique_ptr<File> file = preparation->Take(&failure);
  if (failure) return Done(info.Env(), failure);
  return Returned(info.Env(), MakeHandle(info.Env(), std::move(file)));
}

Napi::Value DropPreparation(Info info) {
  Arguments in(info, "dropPreparation");
  Preparation* preparation = in.OpenPreparation(0);
  if (in.ok()) preparation->Drop();
  return info.Env().Undefined();
}

Napi::Value OpenFile(Info info) {
  Arguments in(info, "openFile");
  const PathText path = in.Path(0);
  const bool writable = in.Boolean(1);
  if (!in.ok()) return info.Env().Undefined();
  Failure failure;
  std::unique_ptr<File> file = File::Open(path, writable, &failure);
  if (failure) return Done(info.Env(), failure);
  return Returned(info.Env(), MakeHandle(info.Env(), std::move(file)));
}

Napi::Value StatFile(Info info) {
  Arguments in(info, "statFile");
  const File* file = in.OpenFile(0);
  if (!in.ok()) return info.Env().Undefined();
  FileFacts facts;
  const Failure failure = file->Stat(&facts);
  if (failure) return Done(info.Env(), failure);
  Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  result.Set("bytes", Napi::Number::New(env, static_cast<double>(facts.bytes)));
  result.Set("device", Napi::Number::New(env, facts.device));
  result.Set("inode", Napi::Number::New(env, facts.inode));
  result.Set("regular", Napi::Boolean::New(env, facts.regular));
  result.Set("fileSystem", Napi::Number::New(env, facts.file_system));
  return result;
}

Napi::Value MapFile(Info info) {
  Arguments in(info, "mapFile");
  File* file = in.OpenFile(0);
  if (!in.ok()) return info.Env().Undefined();
  return Returned(info.Env(), file->Lend(info.Env()));
}

Napi::Value AllowWrites(Info info) {
  Arguments in(info, "allowWrites");
  File* file = in.OpenFile(0);
  const int64_t bytes = in.Integer(1, 0, kLargestFile);
  if (!in.ok()) return info.Env().Undefined();
  const Failure failure = file->Map(false);
  if (failure) return Done(info.Env(), failure);
  const size_t count = static_cast<size_t>(bytes);
  // The last page may be there in part only.
  if (count % kPageBytes != 0 || count > (file->mapping()->bytes() + kPageBytes - 1) / kPageBytes * kPageBytes) {
    ThrowRangeError(info.Env(), "allowWrites: argument 2 must be a number of whole pages of the file");
    return info.Env().Undefined();
  }
  return Done(info.Env(), file->mapping()->AllowWrites(count));
}

Napi::Value PopulateFile(Info info) {
  Arguments in(info, "populateFile");
  File* file = in.OpenFile(0);
  const int64_t from = in.Integer(1, 0, kLargestFile);
  if (!in.ok()) return info.Env().Undefined();
  const Failure failure = file->Map(false);
  if (failure) return Done(info.Env(), failure);
  return Returned(info.Env(), PopulateFileJob(info.Env(), *file, static_cast<size_t>(from)));
}

Napi::Value AllocateFile(Info info) {
  Arguments in(info, "allocateFile");
  const File* file = in.OpenFile(0);
  if (!in.ok()) return info.Env().Undefined();
  FileFacts facts;
  const Failure failure = file->Stat(&facts);
  if (failure) return Done(info.Env(), failure);
  return Returned(info.Env(), AllocateFileJob(info.Env(), *file, facts.bytes));
}

Napi::Value PunchTheHole(Info info) {
  Arguments in(info, "punchHole");
  const File* file = in.OpenFile(0);
  const int64_t from = in.Integer(1, 0, kLargestFile);
  if (!in.ok()) return info.Env().Undefined();
  // As with lockByte: EBADF says that the handle is closed.
  if (!file->writable()) return Done(info.Env(), {EACCES, "fallocate"});
  FileFacts facts;
  const Failure failure = file->Stat(&facts);
  if (failure) return Done(info.Env(), failure);
  return Returned(info.Env(), PunchHoleJob(info.Env(), *file, from, facts.bytes));
}

Napi::Value LinkFile(Info info) {
  Arguments in(info, "linkFile");
  const File* file = in.OpenFile(0);
  const PathText path = in.Path(1);
  if (!in.ok()) return info.Env().Undefined();
  return Done(info.Env(), file->Link(path));
}

Napi::Value TakeByte(Info info) {
  Arguments in(info, "lockByte");
  const File* file = in.OpenFile(0);
  const int64_t byte = in.Integer(1, 0, kLastByte);
  if (!in.ok()) return info.Env().Undefined();
  // The kernel's word for it is EBADF, which here says that the handle is closed.
  if (!file->writable()) return Done(info.Env(), {EACCES, "fcntl(F_OFD_SETLK)"});
  bool taken = false;
  const Failure failure = LockByte(file->fd(), byte, &taken);
  if (failure) return Done(info.Env(), failure);
  return Napi::Boolean::New(info.Env(), taken);
}

Napi::Value GiveByte(Info info) {
  Arguments in(info, "unlockByte");
  const File* file = in.OpenFile(0);
  const int64_t byte = in.Integer(1, 0, kLastByte);
  if (!in.ok()) return info.Env().Undefined();
  return Done(info.Env(), UnlockByte(file->fd(), byte));
}

Napi::Value IsLocked(Info info) {
  Arguments in(info, "isByteLocked");
  const File* file = in.OpenFile(0);
  const int64_t byte = in.Integer(1, 0, kLastByte);
  const int64_t until = info.Length() > 2 ? in.Integer(2, byte + 1, kLastByte) : byte + 1;
  if (!in.ok()) return info.Env().Undefined();
  bool locked = false;
  const Failure failure = IsAnyLocked(file->fd(), byte, until, &locked);
  if (failure) return Done(info.Env(), failure);
  return Napi::Boolean::New(info.Env(), locked);
}

// Arguments 1 to 4: a stretch of frames that this process may write. False with an exception pending.
bool OwnStretch(Arguments& in, Info info, const File& file, Stretch* stretch) {
  stretch->end = static_cast<size_t>(in.Integer(2, 0, kLargestFile));
  stretch->start = static_cast<size_t>(in.Integer(1, 0, static_cast<int64_t>(stretch->end)));
  stretch->stamp = static_cast<uint32_t>(in.Integer(3, INT32_MIN, UINT32_MAX));
  stretch->incarnation = static_cast<uint32_t>(in.Integer(4, INT32_MIN, UINT32_MAX));
  if (!in.ok()) return false;
  const Mapping* mapping = file.mapping().get();
  const size_t writable = mapping == nullptr ? 0 : std::min(mapping->writable(), mapping->bytes());
  if (mapping != nullptr && stretch->end <= writable && stretch->start % MR_FRAME_ALIGN == 0) return true;
  ThrowRangeError(info.Env(), "These are no frames in memory that may be written");
  return false;
}

Napi::Value SumNow(Info info) {
  Arguments in(info, "sumFrames");
  const File* file = in.OpenFile(0);
  Stretch stretch;
  if (!in.ok() || !OwnStretch(in, info, *file, &stretch)) return info.Env().Undefined();
  const size_t stopped = SumFrames(reinterpret_cast<uint8_t*>(file->mapping()->data()), stretch);
  return Napi::Number::New(info.Env(), static_cast<double>(stopped));
}

Napi::Value SummedTo(Info info) {
  Arguments in(info, "summedTo");
  const File* file = in.OpenFile(0);
  if (!in.ok()) return info.Env().Undefined();
  const std::shared_ptr<Mapping>& mapping = file->mapping();
  const size_t summed = mapping == nullptr ? 0 : mapping->summed()->load(std::memory_order_acquire);
  return Napi::Number::New(info.Env(), static_cast<double>(summed));
}

Napi::Value FlushFrames(Info info) {
  Arguments in(info, "flushFrames");
  const File* file = in.OpenFile(0);
  const bool sync = in.Boolean(5);
  Stretch stretch;
  if (!in.ok() || !OwnStretch(in, info, *file, &stretch)) return info.Env().Undefined();
  return Returned(info.Env(), FlushFramesJob(info.Env(), *file, stretch, sync));
}

Napi::Value BeginWriting(Info info) {
  Arguments in(info, "beginToWrite");
  const File* file = in.OpenFile(0);
  const int64_t end = in.Integer(2, 0, kLargestFile);
  const int64_t start = in.Integer(1, 0, end);
  if (!in.ok()) return info.Env().Undefined();
  // Of no bytes would be all of the file.
  if (start < end) BeginToWrite(file->fd(), start, end);
  return info.Env().Undefined();
}

Napi::Value SyncTheDirectory(Info info) {
  Arguments in(info, "syncDirectory");
  const PathText directory = in.Path(0);
  if (!in.ok()) return info.Env().Undefined();
  return Returned(info.Env(), SyncDirectoryJob(info.Env(), directory));
}

Napi::Value ClearRest(Info info) {
  Arguments in(info, "clearRest");
  const File* file = in.OpenFile(0);
  const int64_t start = in.Integer(1, 0, kLargestFile);
  if (!in.ok()) return info.Env().Undefined();
  if (file->mapping() == nullptr || file->mapping()->writable() < file->mapping()->bytes()) {
    ThrowRangeError(info.Env(), "clearRest: the file is not mapped for writing");
    return info.Env().Undefined();
  }
  return Returned(info.Env(), ClearRestJob(info.Env(), *file, static_cast<size_t>(start)));
}

Napi::Value JoinTheFences(Info info) { return Napi::Boolean::New(info.Env(), JoinFences()); }

Napi::Value FenceTheOthers(Info info) { return Napi::Boolean::New(info.Env(), FenceOthers()); }

// Argument 1: the offset of a word of the file; nullptr with an exception pending.
const uint32_t* WordOf(Arguments& in, Info info, const File& file) {
  const Mapping* mapping = file.mapping().get();
  const int64_t last = mapping == nullptr ? 0 : static_cast<int64_t>(mapping->bytes()) - 4;
  const int64_t offset = in.Integer(1, 0, last);
  if (!in.ok()) return nullptr;
  if (mapping != nullptr && offset % 4 == 0) return reinterpret_cast<const uint32_t*>(mapping->data() + offset);
  ThrowRangeError(info.Env(), "There is no such word in memory");
  return nullptr;
}

Napi::Value Sleep(Info info) {
  Arguments in(info, "sleepOn");
  const File* file = in.OpenFile(0);
  const int64_t expected = in.Integer(2, INT32_MIN, UINT32_MAX);
  const int64_t ms = in.Integer(3, 0, kLongestSleepMs);
  const uint32_t* word = in.ok() ? WordOf(in, info, *file) : nullptr;
  if (word != nullptr) SleepOn(word, static_cast<uint32_t>(expected), ms * kNanosecondsAMs);
  return info.Env().Undefined();
}

Napi::Value Wake(Info info) {
  Arguments in(info, "wake");
  const File* file = in.OpenFile(0);
  const int64_t kinds = in.Integer(2, INT32_MIN, UINT32_MAX);
  const uint32_t* word = in.ok() ? WordOf(in, info, *file) : nullptr;
  if (word == nullptr) return info.Env().Undefined();
  if ((kinds & MR_SLEEPER_BLOCKED) != 0) WakeAllOn(word);
  if ((kinds & MR_SLEEPER_LISTENING) != 0) Ring(file->fd());
  return info.Env().Undefined();
}

Napi::Value YieldTheCpu(Info info) {
  sched_yield();
  return info.Env().Undefined();
}

Napi::Value OpenBell(Info info) {
  if (info.Length() < 1 || !info[0].IsFunction()) {
    ThrowTypeError(info.Env(), "openBell: argument 1 must be a function");
    return info.Env().Undefined();
  }
  return Returned(info.Env(), Bell::Open(info.Env(), info[0]));
}

Napi::Value WatchFile(Info info) {
  Arguments in(info, "watchFile");
  Bell* bell = in.OpenBell(0);
  const File* file = in.OpenFile(1);
  if (!in.ok()) return info.Env().Undefined();
  Failure failure;
  const int watch = bell->Watch(*file, &failure);
  if (failure) return Done(info.Env(), failure);
  return Napi::Number::New(info.Env(), watch);
}

Napi::Value UnwatchFile(Info info) {
  Arguments in(info, "unwatchFile");
  Bell* bell = in.OpenBell(0);
  const int64_t watch = in.Integer(1, 0, INT32_MAX);
  if (in.ok()) bell->Unwatch(static_cast<int>(watch));
  return info.Env().Undefined();
}

Napi::Value CloseFile(Info info) {
  File* file = FileOf(info.Env(), info[0]);
  if (file == nullptr) {
    ThrowTypeError(info.Env(), "closeFile: argument 1 must be a file of this addon");
  } else {
    file->Close(info.Env());
  }
  return info.Env().Undefined();
}

Napi::Object Exports(Napi::Env env, Napi::Object exports) {
  DefineRecordCalls(env, exports);
  exports.Set("createFile", Napi::Function::New<CreateFile>(env, "createFile"));
  exports.Set("createFileNow", Napi::Function::New<CreateFileNow>(env, "createFileNow"));
  exports.Set("prepareFile", Napi::Function::New<PrepareFile>(env, "prepareFile"));
  exports.Set("takePrepared", Napi::Function::New<TakePrepared>(env, "takePrepared"));
  exports.Set("dropPreparation", Napi::Function::New<DropPreparation>(env, "dropPreparation"));
  exports.Set("openFile", Napi::Function::New<OpenFile>(env, "openFile"));
  exports.Set("statFile", Napi::Function::New<StatFile>(env, "statFile"));
  exports.Set("mapFile", Napi::Function::New<MapFile>(env, "mapFile"));
  exports.Set("allowWrites", Napi::Function::New<AllowWrites>(env, "allowWrites"));
  exports.Set("populateFile", Napi::Function::New<PopulateFile>(env, "populateFile"));
  exports.Set("allocateFile", Napi::Function::New<AllocateFile>(env, "allocateFile"));
  exports.Set("punchHole", Napi::Function::New<PunchTheHole>(env, "punchHole"));
  exports.Set("linkFile", Napi::Function::New<LinkFile>(env, "linkFile"));
  exports.Set("lockByte", Napi::Function::New<TakeByte>(env, "lockByte"));
  exports.Set("unlockByte", Napi::Function::New<GiveByte>(env, "unlockByte"));
  exports.Set("isByteLocked", Napi::Function::New<IsLocked>(env, "isByteLocked"));
  exports.Set("sumFrames", Napi::Function::New<SumNow>(env, "sumFrames"));
  exports.Set("flushFrames", Napi::Function::New<FlushFrames>(env, "flushFrames"));
  exports.Set("beginToWrite", Napi::Function::New<BeginWriting>(env, "beginToWrite"));
  exports.Set("summedTo", Napi::Function::New<SummedTo>(env, "summedTo"));
  exports.Set("syncDirectory", Napi::Function::New<SyncTheDirectory>(env, "syncDirectory"));
  exports.Set("clearRest", Napi::Function::New<ClearRest>(env, "clearRest"));
  exports.Set("joinFences", Napi::Function::New<JoinTheFences>(env, "joinFences"));
  exports.Set("fenceOthers", Napi::Function::New<FenceTheOthers>(env, "fenceOthers"));
  exports.Set("sleepOn", Napi::Function::New<Sleep>(env, "sleepOn"));
  exports.Set("wake", Napi::Function::New<Wake>(env, "wake"));
  exports.Set("yieldCpu", Napi::Function::New<YieldTheCpu>(env, "yieldCpu"));
  exports.Set("openBell", Napi::Function::New<OpenBell>(env, "openBell"));
  exports.Set("watchFile", Napi::Function::New<WatchFile>(env, "watchFile"));
  exports.Set("unwatchFile", Napi::Function::New<UnwatchFile>(env, "unwatchFile"));
  exports.Set("closeFile", Napi::Function::New<CloseFile>(env, "closeFile"));
  return exports;
}

}  // namespace
}  // namespace millrace

// The macro registers a function of the global scope.
static Napi::Object Init(Napi::Env env, Napi::Object exports) { return millrace::Exports(env, exports); }
NODE_API_MODULE(millrace, Init)
