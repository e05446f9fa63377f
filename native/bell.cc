#include "bell.h"

#include <sys/inotify.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <utility>

#include "handles.h"

namespace millrace {

namespace {

constexpr size_t kBufferBytes = 4096;
constexpr int kTooMany = -1;

}  // namespace

// What libuv knows. Lives until libuv has let go of it, which is after the thread's JavaScript has ended.
struct Bell::Poll {
  napi_env env;
  napi_ref on_ring = nullptr;
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  int fd;
  uv_poll_t handle;
  bool closed = false;

  void Tell(int watch) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    napi_value callback, receiver, argument, result;
    if (napi_get_reference_value(env, on_ring, &callback) == napi_ok && napi_get_global(env, &receiver) == napi_ok &&
        napi_create_int32(env, watch, &argument) == napi_ok &&
        napi_make_callback(env, context, receiver, callback, 1, &argument, &result) == napi_pending_exception) {
      napi_value error;
      if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
    }
    napi_close_handle_scope(env, scope);
  }

  static void OnReadable(uv_poll_t* handle, int, int) {
    Poll* poll = static_cast<Poll*>(handle->data);
    alignas(inotify_event) char buffer[kBufferBytes];
    const ssize_t bytes = read(poll->fd, buffer, sizeof buffer);
    int last = 0;  // no watch has this number
    for (ssize_t at = 0; at < bytes && !poll->closed;) {
      const inotify_event* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      const int watch = (event->mask & IN_Q_OVERFLOW) != 0 ? kTooMany : event->wd;
      // One file that is rung for again and again need not be told of again and again.
      if (watch != last) poll->Tell(watch);
      last = watch;
    }
  }

  static void OnThreadEnd(napi_async_cleanup_hook_handle, void* data) {
    Poll* poll = static_cast<Poll*>(data);
    poll->closed = true;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll->handle), [](uv_handle_t* handle) {
      std::unique_ptr<Poll> poll(static_cast<Poll*>(handle->data));
      close(poll->fd);
      napi_remove_async_cleanup_hook(poll->hook);
    });
  }
};

napi_value Bell::Open(napi_env env, napi_value on_ring) {
  uv_loop_t* loop = nullptr;
  napi_value name;
  auto poll = std::make_unique<Poll>();
  poll->env = env;
  poll->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (poll->fd < 0) {
    Throw(env, LastFailure("inotify_init1"));
    return nullptr;
  }
  std::unique_ptr<Bell> bell(new Bell(poll.get()));
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Bell*>(data); };
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "millrace", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_reference(env, on_ring, 1, &poll->on_ring) != napi_ok ||
      napi_async_init(env, nullptr, name, &poll->context) != napi_ok ||
      uv_poll_init(loop, &poll->handle, poll->fd) != 0) {
    if (poll->context != nullptr) napi_async_destroy(env, poll->context);
    if (poll->on_ring != nullptr) napi_delete_reference(env, poll->on_ring);
    close(poll->fd);
    Throw(env, {ENOMEM, "uv_poll_init"});
    return nullptr;
  }
  poll->handle.data = poll.get();
  uv_poll_start(&poll->handle, UV_READABLE, &Poll::OnReadable);
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll->handle));
  // From here on libuv has it: only the hook lets go.
  Poll* const kept = poll.release();
  if (napi_add_async_cleanup_hook(env, &Poll::OnThreadEnd, kept, &kept->hook) != napi_ok) return nullptr;
  return NewHandle(env, Kind::kBell, std::move(bell), finalize);
}

Bell* Bell::Of(napi_env env, napi_value value) { return static_cast<Bell*>(ObjectOf(env, value, Kind::kBell)); }

int Bell::Watch(const File& file, Failure* failure) {
  char path[32];
  // By its descriptor: the name may be gone, or another file's by now.
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file.fd());
  const int watch = inotify_add_watch(poll_->fd, path, IN_ACCESS);
  if (watch < 0) *failure = LastFailure("inotify_add_watch");
  return watch;
}

void Bell::Unwatch(int watch) { inotify_rm_watch(poll_->fd, watch); }

}  // namespace millrace
