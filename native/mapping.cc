#include "mapping.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "reaper.h"

// Linux 5.14 has them; older headers don't.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace millrace {
namespace {

constexpr char kZeros[kPageBytes] = {};

// For kernels without MADV_POPULATE_*. It may meet SIGBUS where madvise would say EFAULT, so it comes second.
void TouchPages(char* from, size_t bytes, bool write) {
  for (size_t at = 0; at < bytes; at += kPageBytes) {
    if (write) {
      // Adds nothing, atomically: others may be storing to this very word.
      __atomic_fetch_or(reinterpret_cast<int*>(from + at), 0, __ATOMIC_RELAXED);
    } else {
      __atomic_load_n(from + at, __ATOMIC_RELAXED);
    }
  }
}

// Without readahead each page is one of its own in the page cache. What is read ahead comes in larger and larger pieces, of
// which the file system writes all where a byte was stored: 2 MiB for each commit of a record, after 40 MiB of a file.
void KeepPagesSmall(char* from, size_t bytes) { madvise(from, bytes, MADV_RANDOM); }

// One step. `*known` turns false at the first kernel that doesn't know the advice.
Failure PopulateStep(char* from, size_t bytes, bool write, bool* known) {
  while (*known) {
    if (madvise(from, bytes, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0) return {};
    if (errno == EINVAL) {
      *known = false;
    } else if (errno != EINTR && errno != EAGAIN) {
      return LastFailure("madvise");
    }
  }
  TouchPages(from, bytes, write);
  return {};
}

}  // namespace

std::shared_ptr<Mapping> Mapping::Create(int fd, size_t bytes, bool writable, Failure* failure) {
  void* address = mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    *failure = LastFailure("mmap");
    return nullptr;
  }
  // A forked child that execs needs no copy of these page tables, and one that doesn't must not write here.
  madvise(address, bytes, MADV_DONTFORK);
  if (writable) KeepPagesSmall(static_cast<char*>(address), bytes);
  return std::shared_ptr<Mapping>(new Mapping(static_cast<char*>(address), bytes, writable ? bytes : 0));
}

Mapping::~Mapping() { UnmapLater(address_, bytes_); }

Failure Mapping::AllowWrites(size_t bytes) {
  if (bytes <= writable_.load(std::memory_order_relaxed)) return {};
  if (mprotect(address_, bytes, PROT_READ | PROT_WRITE) != 0) return LastFailure("mprotect");
  writable_.store(bytes, std::memory_order_relaxed);
  return {};
}

size_t Mapping::Clear(size_t start, const Pace& pace) {
  size_t cleared = start;
  for (size_t done = start; done < bytes_ && !pace.cancelled();) {
    const size_t step = std::min(kPageBytes - done % kPageBytes, bytes_ - done);
    // Looked at first: a page that is only read stays clean, and needs not go to the disk again.
    if (std::memcmp(address_ + done, kZeros, step) != 0) {
      size_t used = step;
      // Down to nothing, where somebody else has cleared it since.
      while (used > 0 && address_[done + used - 1] == 0) used--;
      std::memset(address_ + done, 0, used);
      if (used > 0) cleared = done + used;
    }
    done += step;
    if (done % kStepBytes == 0) pace.Pause();
  }
  return cleared;
}

void Mapping::LetGo(size_t from, size_t end) {
  const size_t begin = (from + kPageBytes - 1) / kPageBytes * kPageBytes;
  const size_t whole = end / kPageBytes * kPageBytes;
  for (size_t done = begin; done < whole; done += kStepBytes) {
    // It only spares work: where it fails, all is as it was.
    madvise(address_ + done, std::min(kStepBytes, whole - done), MADV_DONTNEED);
  }
}

Failure Mapping::Populate(size_t from, bool dirty, const Pace& pace) {
  bool known = true;
  const size_t begin = from / kPageBytes * kPageBytes;
  const size_t to_be_written = std::min(writable_.load(std::memory_order_relaxed), bytes_);
  if (begin < to_be_written) KeepPagesSmall(address_ + begin, to_be_written - begin);
  for (size_t done = begin; done < bytes_;) {
    if (pace.cancelled()) return {ECANCELED, "madvise"};
    if (done != begin) pace.Pause();
    const size_t writable = writable_.load(std::memory_order_relaxed);
    const bool may_write = done < writable;
    // A step has one protection only.
    const size_t step = std::min(kStepBytes, (may_write ? std::min(writable, bytes_) : bytes_) - done);
    // All at once where the disk has it, and not page by page; what is asked for like this comes in small pages, too.
    if (may_write) madvise(address_ + done, step, MADV_WILLNEED);
    const Failure failure = PopulateStep(address_ + done, step, may_write && dirty, &known);
    if (failure) return failure;
    done += step;
  }
  return {};
}

}  // namespace millrace
