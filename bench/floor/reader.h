// The reading half: a gating reader that is lent the mapping in place, and what it does after an empty look.
#ifndef FLOOR_READER_H
#define FLOOR_READER_H

#include "mapped.h"

// After an empty look: EAGER looks again at once. ADAPTIVE stays away for some pauses, more while small batches keep
// coming, none when records come one by one. STEADY stays away for a fixed number of pauses. SKIPPING counts calls
// instead of pausing, as a program without a pause instruction would.
typedef enum { EAGER, ADAPTIVE, STEADY, SKIPPING } idle_kind;

#define FRUITLESS_LOOKS 2  // after so many in a row a reader comes back sooner and sooner

typedef struct {
  idle_kind kind;
  uint32_t least, most;  // pauses (calls, when skipping)
  uint32_t enough;       // records in a batch from which on there is no need to stay away longer
  uint32_t stay;
  uint32_t left;
  uint32_t since;  // records since the last empty look
  uint32_t fruitless;  // empty looks in a row
} idle;

typedef struct {
  mapped m;
  uint8_t *slot;
  uint64_t position;
  uint64_t tail;
  uint64_t looks;
  uint64_t empty;
  idle idle;
} reader;

static inline reader register_reader(const char *path, idle how) {
  mapped m = open_channel(path);
  reader r = {.m = m, .slot = slot_of(&m, 0), .idle = how};
  store_word(r.slot, MR_SLOT_STATE_OFFSET, MR_SLOT_CLAIMING);
  r.position = load_split(m.header, MR_TAIL_OFFSET);
  store_split(r.slot, MR_SLOT_POSITION_OFFSET, r.position, 0);
  store_word(r.slot, MR_SLOT_STATE_OFFSET, MR_SLOT_GATING);
  atomic_fetch_add(word_at(m.header, MR_REGISTRATION_OFFSET), 1);
  atomic_thread_fence(memory_order_seq_cst);
  while (load_split(m.header, MR_LIMIT_OFFSET) - r.position > m.capacity) {
    r.position = load_split(m.header, MR_TAIL_OFFSET);
    store_split(r.slot, MR_SLOT_POSITION_OFFSET, r.position, 0);
  }
  return r;
}

static inline void grow_or_shrink(idle *how) {
  how->fruitless = how->since == 0 ? how->fruitless + 1 : 0;
  if (how->since == 1 || how->fruitless > FRUITLESS_LOOKS) {
    how->stay /= 2;
    if (how->stay < how->least) how->stay = 0;
  } else if (how->since > 0 && how->since < how->enough) {
    how->stay = how->stay == 0 ? how->least : how->stay + how->stay / 4 + 1;
    if (how->stay > how->most) how->stay = how->most;
  }
  how->since = 0;
}

static inline void after_empty_look(idle *how) {
  switch (how->kind) {
    case EAGER:
      return;
    case STEADY:
      relax(how->most);
      return;
    case ADAPTIVE:
      grow_or_shrink(how);
      relax(how->stay);
      return;
    case SKIPPING:
      grow_or_shrink(how);
      how->left = how->stay;
      return;
  }
}

// Hands each record there is, `most` at the utmost, to `handle(context, payload, size)`; returns how many.
typedef void (*handler)(void *context, const uint8_t *payload, uint32_t size);

static inline __attribute__((always_inline)) uint32_t poll_records(reader *r, handler handle, void *context, uint32_t most) {
  if (r->idle.left > 0) {
    r->idle.left--;
    return 0;
  }
  uint64_t position = r->position;
  uint32_t records = 0, mask = r->m.capacity - 1;
  r->looks++;
  if (position >= r->tail) r->tail = load_near(r->m.header, MR_TAIL_OFFSET, position);
  while (records < most) {
    uint32_t offset = (uint32_t)position & mask;
    // Below the tail plain loads do: the tail's acquire covers them.
    int32_t length = position < r->tail ? (int32_t)*plain(r->m.data, offset) : (int32_t)load_word(r->m.data, offset);
    if (length <= 0) break;
    const uint32_t *frame = plain(r->m.data, offset);
    if (length < MR_FRAME_HEADER || (uint32_t)length > r->m.capacity - offset ||
        frame[2] != (uint32_t)(position / MR_FRAME_ALIGN)) {
      fprintf(stderr, "corrupt frame at %llu\n", (unsigned long long)position);
      exit(1);
    }
    position += aligned((uint32_t)length);
    if ((frame[1] & 0xff) == MR_KIND_PAD) continue;
    handle(context, (const uint8_t *)frame + MR_FRAME_HEADER, (uint32_t)length - MR_FRAME_HEADER);
    records++;
  }
  if (position != r->position) {
    store_split(r->slot, MR_SLOT_POSITION_OFFSET, position, r->position);
    r->position = position;
  }
  r->idle.since += records;
  if (records == 0) {
    r->empty++;
    after_empty_look(&r->idle);
  }
  return records;
}

#endif
