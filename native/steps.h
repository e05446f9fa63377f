#ifndef MILLRACE_STEPS_H
#define MILLRACE_STEPS_H

#include <atomic>
#include <cstddef>

namespace millrace {

// Kernel work on a mapping is done in steps of this size with a pause between: each step holds the process's map lock,
// and while it is held no other thread can fault in a page. One munmap of 256 MiB stalls JavaScript for 24-72 ms.
constexpr size_t kStepBytes = 256 * 1024;

// Long enough for whoever waits for the map lock to get it.
void PauseBetweenSteps();

// How work in steps goes on: it looks at what other threads set, between two steps.
class Pace {
 public:
  // Ends with ECANCELED once `cancelled` is set, and makes no pauses any more once `hurried` is.
  explicit Pace(const std::atomic<bool>& cancelled, const std::atomic<bool>* hurried = nullptr)
      : cancelled_(&cancelled), hurried_(hurried) {}

  // Neither: for a thread that waits for the work.
  static Pace AtOnce() { return Pace(); }

  bool cancelled() const { return cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed); }

  void Pause() const {
    if (cancelled_ == nullptr || (hurried_ != nullptr && hurried_->load(std::memory_order_relaxed))) return;
    PauseBetweenSteps();
  }

 private:
  Pace() = default;

  const std::atomic<bool>* cancelled_ = nullptr;
  const std::atomic<bool>* hurried_ = nullptr;
};

}  // namespace millrace

#endif
