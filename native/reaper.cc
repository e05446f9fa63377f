#include "reaper.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace millrace {
namespace {

struct Region {
  char* address;
  size_t bytes;
};

void UnmapInSteps(const Region& region) {
  for (size_t done = 0; done < region.bytes; done += kStepBytes) {
    if (done != 0) PauseBetweenSteps();
    // From the front, so that the kernel never has to split what is left in two.
    munmap(region.address + done, std::min(kStepBytes, region.bytes - done));
  }
}

class Reaper {
 public:
  void Add(const Region& region) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!running_) running_ = StartThread();
    if (!running_) {
      lock.unlock();
      UnmapInSteps(region);  // no thread to be had: slow is better than leaking
      return;
    }
    queue_.push_back(region);
    lock.unlock();
    wake_.notify_one();
  }

 private:
  bool StartThread() {
    // The thread inherits a full signal mask, so that the process's signals go to threads that expect them.
    sigset_t all, before;
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, &before) != 0) return false;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    const bool started = pthread_create(&thread, &attributes, &Reaper::Main, this) == 0;
    pthread_attr_destroy(&attributes);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return started;
  }

  static void* Main(void* self) {
    prctl(PR_SET_NAME, "millrace-unmap");
    static_cast<Reaper*>(self)->Run();
    return nullptr;
  }

  [[noreturn]] void Run() {
    std::vector<Region> batch;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        while (queue_.empty()) wake_.wait(lock);
        batch.swap(queue_);
      }
      for (const Region& region : batch) {
        UnmapInSteps(region);
        PauseBetweenSteps();
      }
      batch.clear();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Region> queue_;
  bool running_ = false;
};

// The process's only mutable static. Never destroyed: its thread may still wait on it while the process exits.
Reaper& ProcessReaper() {
  static Reaper* const reaper = new Reaper;
  return *reaper;
}

}  // namespace

void PauseBetweenSteps() {
  const timespec pause{0, 20 * 1000};  // the kernel's timer slack makes it about 75 us
  nanosleep(&pause, nullptr);
}

void UnmapLater(void* address, size_t bytes) { ProcessReaper().Add({static_cast<char*>(address), bytes}); }

}  // namespace millrace
