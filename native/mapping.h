#ifndef MILLRACE_MAPPING_H
#define MILLRACE_MAPPING_H

#include <atomic>
#include <cstddef>
#include <memory>

#include "errors.h"
#include "steps.h"

namespace millrace {

constexpr size_t kPageBytes = 4096;

// The format's files end well below this; what is larger is not one of them, and no ArrayBuffer should try it.
constexpr int64_t kLargestFile = int64_t{2} << 30;

// A whole file in memory. Shared by the handle, the ArrayBuffer that was lent and every job in flight; the last of them
// to let go gives the pages to the reaper.
class Mapping {
 public:
  // nullptr and a failure, or a mapping. Nothing of it is present yet.
  static std::shared_ptr<Mapping> Create(int fd, size_t bytes, bool writable, Failure* failure);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* data() const { return address_; }
  size_t bytes() const { return bytes_; }
  size_t writable() const { return writable_.load(std::memory_order_relaxed); }

  // EACCES where the file was opened for reading only.
  Failure AllowWrites(size_t bytes);

  // Stores 0 where something else stands in [start, bytes()), in steps; blocks. Returns the end of what was cleared, or
  // `start`. Only of a mapping that is writable so far.
  size_t Clear(size_t start, const Pace& pace);

  // How far jobs have filled in checksums: each notes where it is, while others may look.
  std::atomic<size_t>* summed() { return &summed_; }

  // From where on jobs have filled in checksums that none of them has synced; 0 where there are none.
  std::atomic<size_t>* unsynced() { return &unsynced_; }

  // Brings every page from `from` on into this process's page table, in steps; blocks. Where they are to be `dirty`, a store
  // finds them ready, and all that may be written goes to the disk, zeros as they are. Else what nothing is stored in never
  // does, and the first store to each page of a disk's costs a fault.
  Failure Populate(size_t from, bool dirty, const Pace& pace);

  // Lets go of the whole pages in [from, end), in steps: they stay in the file as they are, and come back to who looks at
  // them or stores there. For those in which nobody will any more, and that are yet to be written to the disk: of each page
  // that it writes the kernel takes the right to store there from every page table, and interrupts the other cores to tell
  // them, once for a page, where it does so here once for a step.
  void LetGo(size_t from, size_t end);

 private:
  Mapping(char* address, size_t bytes, size_t writable) : address_(address), bytes_(bytes), writable_(writable) {}

  char* const address_;
  const size_t bytes_;
  std::atomic<size_t> writable_;  // how many bytes from the front; a job may look while JavaScript changes it
  std::atomic<size_t> summed_{0};
  std::atomic<size_t> unsynced_{0};
};

}  // namespace millrace

#endif
