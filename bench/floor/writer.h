// The writing half of the frame protocol, with the cheapest instructions that are right in C: a commit is a release
// store (a plain mov on x64), where JavaScript's Atomics.store is a full exchange. `like_js` measures that difference.
#ifndef FLOOR_WRITER_H
#define FLOOR_WRITER_H

#include "mapped.h"

#define RECORDS_BETWEEN_TAILS 64
#define PAUSES_WHEN_REFUSED 8

typedef struct {
  mapped m;
  uint64_t position;
  uint64_t granted;  // nothing at or past this may be written
  uint64_t limit;
  uint64_t tail;
  uint32_t untold;  // records since the tail was published
  uint64_t refusals;
  int like_js;
} writer;

static inline writer create_writer(const char *path, uint32_t capacity) {
  return (writer){.m = create_channel(path, capacity)};
}

static inline void commit(writer *w, uint32_t offset, uint32_t length) {
  word *at = word_at(w->m.data, offset);
  if (__builtin_expect(w->like_js, 0)) {
    atomic_store_explicit(at, length, memory_order_seq_cst);
  } else {
    atomic_store_explicit(at, length, memory_order_release);
  }
}

static inline void publish_tail(writer *w) {
  store_split(w->m.header, MR_TAIL_OFFSET, w->position, w->tail);
  w->tail = w->position;
  w->untold = 0;
}

static inline void count_records(writer *w, uint32_t records) {
  w->untold += records;
  if (w->untold >= RECORDS_BETWEEN_TAILS) publish_tail(w);
}

static inline uint64_t slowest_reader(writer *w) {
  uint64_t slowest = UINT64_MAX;
  for (uint32_t slot = 0; slot < READER_SLOTS; slot++) {
    uint8_t *at = slot_of(&w->m, slot);
    if ((load_word(at, MR_SLOT_STATE_OFFSET) & 15) != MR_SLOT_GATING) continue;
    uint64_t position = load_near(at, MR_SLOT_POSITION_OFFSET, w->position);
    if (position < slowest) slowest = position;
  }
  return slowest;
}

// Grants room up to `want` and a step beyond, if every gating reader has left it.
static __attribute__((noinline)) int grant(writer *w, uint64_t want) {
  publish_tail(w);  // before limit: limit <= tail + capacity always
  uint8_t *header = w->m.header;
  uint32_t registrations;
  do {
    registrations = load_word(header, MR_REGISTRATION_OFFSET);
    uint64_t slowest = slowest_reader(w);
    uint64_t permitted = want + w->m.capacity / 16;
    if (slowest != UINT64_MAX && slowest + w->m.capacity < permitted) permitted = slowest + w->m.capacity;
    if (permitted < want) {
      w->refusals++;
      return 0;
    }
    if (permitted > w->limit) {
      store_split(header, MR_LIMIT_OFFSET, permitted, w->limit);
      w->limit = permitted;
    }
    w->granted = permitted;
    atomic_thread_fence(memory_order_seq_cst);  // limit is out before we look who registered, and before we overwrite
  } while (load_word(header, MR_REGISTRATION_OFFSET) != registrations);
  return 1;
}

static inline uint32_t offset_of(writer *w, uint64_t position) { return (uint32_t)(position & (w->m.capacity - 1)); }

// All of a frame but its length; the next frame's length word becomes 0 before this one can be seen.
static inline void fill_header(writer *w, uint32_t offset, uint64_t position, uint32_t kind, uint64_t bytes) {
  uint32_t *frame = plain(w->m.data, offset);
  frame[1] = kind;
  frame[2] = (uint32_t)(position / MR_FRAME_ALIGN);
  frame[3] = 0;
  *plain(w->m.data, offset_of(w, position + bytes)) = 0;
}

static inline uint64_t padding_before(writer *w, uint64_t position, uint64_t bytes) {
  uint64_t left = w->m.capacity - offset_of(w, position);
  return bytes > left ? left : 0;
}

static inline int write_record(writer *w, const void *payload, uint32_t size, uint32_t type) {
  uint64_t bytes = aligned(MR_FRAME_HEADER + size);
  uint64_t padding = padding_before(w, w->position, bytes);
  uint64_t want = w->position + padding + bytes + MR_FRAME_ALIGN;  // the terminator is a write too
  if (__builtin_expect(want > w->granted, 0) && !grant(w, want)) return 0;
  if (__builtin_expect(padding != 0, 0)) {
    uint32_t offset = offset_of(w, w->position);
    fill_header(w, offset, w->position, MR_KIND_PAD, padding);
    commit(w, offset, (uint32_t)padding);
    w->position += padding;
  }
  uint32_t offset = offset_of(w, w->position);
  memcpy(w->m.data + offset + MR_FRAME_HEADER, payload, size);
  fill_header(w, offset, w->position, MR_KIND_DATA | type << 16, bytes);
  commit(w, offset, MR_FRAME_HEADER + size);
  w->position += bytes;
  count_records(w, 1);
  return 1;
}

// All or nothing: the first frame's length is stored last, and its release covers them all.
static inline int write_records(writer *w, const void *const *payloads, uint32_t records, uint32_t size) {
  uint64_t bytes = aligned(MR_FRAME_HEADER + size);
  uint64_t want = w->position + bytes * (records + 1) + MR_FRAME_ALIGN;  // + 1: there may be one padding
  if (__builtin_expect(want > w->granted, 0) && !grant(w, want)) return 0;
  uint32_t first = offset_of(w, w->position), first_length = 0;
  for (uint32_t i = 0; i < records; i++) {
    uint64_t padding = padding_before(w, w->position, bytes);
    uint32_t offset = offset_of(w, w->position);
    if (__builtin_expect(padding != 0, 0)) {
      fill_header(w, offset, w->position, MR_KIND_PAD, padding);
      if (i == 0) first_length = (uint32_t)padding;
      else *plain(w->m.data, offset) = (uint32_t)padding;
      w->position += padding;
      offset = offset_of(w, w->position);
    }
    memcpy(w->m.data + offset + MR_FRAME_HEADER, payloads[i], size);
    fill_header(w, offset, w->position, MR_KIND_DATA, bytes);
    if (i == 0 && padding == 0) first_length = MR_FRAME_HEADER + size;
    else *plain(w->m.data, offset) = MR_FRAME_HEADER + size;
    w->position += bytes;
  }
  commit(w, first, first_length);
  count_records(w, records);
  return 1;
}

#endif
