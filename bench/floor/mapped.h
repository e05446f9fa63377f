// A ring channel file in the product's layout, as far as one writer and gating readers need it: no metadata, marks or locks.
#ifndef FLOOR_MAPPED_H
#define FLOOR_MAPPED_H

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../native/layout.h"
#include "process.h"

#define READER_SLOTS 64

typedef struct {
  uint8_t *header;
  uint8_t *data;
  uint32_t capacity;
} mapped;

typedef _Atomic uint32_t word;

static inline word *word_at(uint8_t *base, uint32_t offset) { return (word *)(base + offset); }
static inline uint32_t load_word(uint8_t *base, uint32_t offset) {
  return atomic_load_explicit(word_at(base, offset), memory_order_acquire);
}
static inline void store_word(uint8_t *base, uint32_t offset, uint32_t value) {
  atomic_store_explicit(word_at(base, offset), value, memory_order_release);
}
static inline uint32_t *plain(uint8_t *base, uint32_t offset) { return (uint32_t *)(base + offset); }

static inline uint64_t aligned(uint64_t bytes) { return (bytes + MR_FRAME_ALIGN - 1) & ~(uint64_t)(MR_FRAME_ALIGN - 1); }

// A position in three words: its high part, low part, high part again; the high ones are stored when they change.
static inline void store_split(uint8_t *base, uint32_t offset, uint64_t position, uint64_t previous) {
  uint64_t units = position / MR_FRAME_ALIGN, before = previous / MR_FRAME_ALIGN;
  int carries = units >> 32 != before >> 32;
  if (carries) store_word(base, offset, (uint32_t)(units >> 32));
  store_word(base, offset + 4, (uint32_t)units);
  if (carries) store_word(base, offset + 8, (uint32_t)(units >> 32));
}
static inline uint64_t load_split(uint8_t *base, uint32_t offset) {
  for (;;) {
    uint32_t high = load_word(base, offset + 8);
    uint32_t low = load_word(base, offset + 4);
    if (load_word(base, offset) == high) return ((uint64_t)high << 32 | low) * MR_FRAME_ALIGN;
  }
}
// For parties within one capacity of each other the low word says it all.
static inline uint64_t load_near(uint8_t *base, uint32_t offset, uint64_t here) {
  int32_t units = (int32_t)(load_word(base, offset + 4) - (uint32_t)(here / MR_FRAME_ALIGN));
  return here + (int64_t)units * MR_FRAME_ALIGN;
}

static inline uint8_t *slot_of(mapped *m, uint32_t slot) {
  return m->header + MR_HEADER_BYTES + (size_t)slot * MR_SLOT_BYTES;
}

static inline mapped map_file(int fd, size_t data_offset, size_t capacity) {
  uint8_t *at = mmap(NULL, data_offset + capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (at == MAP_FAILED) fail("mmap");
  close(fd);
  return (mapped){at, at + data_offset, (uint32_t)capacity};
}

static inline mapped create_channel(const char *path, uint32_t capacity) {
  uint32_t data_offset = MR_HEADER_BYTES + READER_SLOTS * MR_SLOT_BYTES + MR_METADATA_BYTES;
  data_offset = (data_offset + MR_DATA_ALIGN - 1) / MR_DATA_ALIGN * MR_DATA_ALIGN;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) fail(path);
  if (posix_fallocate(fd, 0, (off_t)data_offset + capacity) != 0) fail("posix_fallocate");
  mapped m = map_file(fd, data_offset, capacity);
  *plain(m.header, MR_CAPACITY_OFFSET) = capacity;
  *plain(m.header, MR_DATA_OFFSET_OFFSET) = data_offset;
  *plain(m.header, MR_READER_SLOTS_OFFSET) = READER_SLOTS;
  store_word(m.header, MR_STATE_OFFSET, MR_STATE_OPEN);
  return m;
}

static inline mapped open_channel(const char *path) {
  int fd = open(path, O_RDWR);
  if (fd < 0) fail(path);
  uint32_t head[MR_STATIC_BYTES / 4];
  if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head) fail(path);
  return map_file(fd, head[MR_DATA_OFFSET_OFFSET / 4], head[MR_CAPACITY_OFFSET / 4]);
}

#endif
