// Where are the two cpus to each other, and is somebody else on their cores? Two pinned threads pass one cache line to
// and fro; half a round trip is one way. Then both do sums that a core can do several of at once: a stranger on the
// core's other hardware thread makes that twice as slow, and takes nothing from the time this machine counts as ours.
// Each line "run MS" on standard input is answered with the nanoseconds one way and those of a sum on either cpu; the
// threads sleep in between.
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

static _Alignas(128) _Atomic uint32_t ball;
static _Alignas(128) uint64_t deadline;
static int cpus[2];

#define STOP UINT32_MAX
#define LOOKS_AT_THE_CLOCK 64

#define SUMS 200000

static double sum_ns[2];

static void do_sums(int which) {
  uint64_t a = 1, b = 2, c = 3, d = 4;
  uint64_t start = now_ns();
  for (uint64_t i = 0; i < SUMS; i++) {
    a += i;
    b ^= i;
    c -= i;
    d += b;
    __asm__ volatile("" ::"r"(a), "r"(b), "r"(c), "r"(d));
  }
  sum_ns[which] = (double)(now_ns() - start) / SUMS;
}

static void *answer(void *unused) {
  (void)unused;
  pin_to(cpus[1]);
  uint32_t expected = 1;
  for (;;) {
    uint32_t seen = atomic_load_explicit(&ball, memory_order_acquire);
    if (seen == STOP) {
      do_sums(1);
      return NULL;
    }
    if (seen != expected) continue;
    atomic_store_explicit(&ball, expected + 1, memory_order_release);
    expected += 2;
  }
}

static double one_way_ns(double ms) {
  atomic_store(&ball, 0);
  pthread_t partner;
  if (pthread_create(&partner, NULL, answer, NULL) != 0) fail("pthread_create");
  uint32_t sent = 1;
  uint64_t start = 0, now = 0, trips = 0;
  for (;;) {
    atomic_store_explicit(&ball, sent, memory_order_release);
    while (atomic_load_explicit(&ball, memory_order_acquire) != sent + 1) {
    }
    sent += 2;
    if (start == 0) {  // the partner is awake from here on
      start = now_ns();
      deadline = start + (uint64_t)(ms * 1e6);
      continue;
    }
    if (++trips % LOOKS_AT_THE_CLOCK != 0) continue;
    now = now_ns();
    if (now >= deadline) break;
  }
  atomic_store(&ball, STOP);
  do_sums(0);
  pthread_join(partner, NULL);
  return (double)(now - start) / (double)trips / 2;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "probe CPU CPU\n");
    return 2;
  }
  cpus[0] = atoi(argv[1]);
  cpus[1] = atoi(argv[2]);
  pin_to(cpus[0]);
  double ms;
  printf("{\"ready\":true}\n");
  fflush(stdout);
  while (next_turn(&ms)) {
    double one_way = one_way_ns(ms);
    printf("{\"oneWayNs\":%.1f,\"sumNs\":[%.3f,%.3f]}\n", one_way, sum_ns[0], sum_ns[1]);
    fflush(stdout);
  }
  return 0;
}
