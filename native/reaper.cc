#include "reaper.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <algorithm>
#include <memory>

#include "steps.h"
#include "threads.h"

namespace millrace {
namespace {

// More don't wait: the kernel lets a process have some 65,000 mappings, and who closes in a loop is faster than the thread.
constexpr int kMostWaiting = 1024;

struct Region {
  char* address;
  size_t bytes;
  Region* next;
};

void UnmapInSteps(const Region& region) {
  for (size_t done = 0; done < region.bytes; done += kStepBytes) {
    if (done != 0) PauseBetweenSteps();
    // From the front, so that the kernel never has to split what is left in two.
    munmap(region.address + done, std::min(kStepBytes, region.bytes - done));
  }
}

// The process's only mutable static, and what guards it. Plain C types: nothing here is ever destroyed, because the
// thread may still wait on it while the process exits.
struct Reaper {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
  Region* waiting = nullptr;  // the youngest first; the order doesn't matter
  int count = 0;
  bool running = false;
};

Reaper reaper;

void* Reap(void*) {
  prctl(PR_SET_NAME, "millrace-unmap");
  for (size_t since_pause = 0;;) {
    pthread_mutex_lock(&reaper.mutex);
    while (reaper.waiting == nullptr) pthread_cond_wait(&reaper.wake, &reaper.mutex);
    std::unique_ptr<Region> region(reaper.waiting);
    reaper.waiting = region->next;
    reaper.count--;
    pthread_mutex_unlock(&reaper.mutex);
    UnmapInSteps(*region);
    since_pause += region->bytes;
    if (since_pause < kStepBytes) continue;
    PauseBetweenSteps();
    since_pause = 0;
  }
  return nullptr;
}

}  // namespace

void UnmapLater(void* address, size_t bytes) {
  auto region = std::make_unique<Region>(Region{static_cast<char*>(address), bytes, nullptr});
  pthread_mutex_lock(&reaper.mutex);
  if (!reaper.running) reaper.running = StartThread(&Reap, nullptr);
  const bool waits = reaper.running && reaper.count < kMostWaiting;
  if (waits) {
    region->next = reaper.waiting;
    reaper.waiting = region.release();
    reaper.count++;
    pthread_cond_signal(&reaper.wake);
  }
  pthread_mutex_unlock(&reaper.mutex);
  // Also where there was no thread to be had: slow is better than leaking.
  if (!waits) munmap(region->address, region->bytes);
}

}  // namespace millrace
