// What one copy of each record takes, and nothing else: memcpy from one source to one place after another in 8 MiB.
// No program that copies its records into a ring of that size can be quicker.
//
//   copying SIZE
//
// "run MS" is answered with the records copied, and the time.
#include "process.h"

#define RING_BYTES (8u << 20)
#define RECORDS_BETWEEN_CLOCKS 256

int main(int argc, char **argv) {
  const size_t size = argc == 2 ? (size_t)atol(argv[1]) : 0;
  if (size < sizeof(uint32_t) || size > RING_BYTES) {
    fprintf(stderr, "copying SIZE\n");
    return 2;
  }
  uint8_t *ring = aligned_alloc(4096, RING_BYTES), *source = aligned_alloc(64, (size + 63) / 64 * 64);
  if (ring == NULL || source == NULL) fail("aligned_alloc");
  memset(ring, 1, RING_BYTES);
  memset(source, 0x11, size);
  double ms;
  uint32_t number = 0;
  size_t at = 0;
  say("{\"ready\":true}");
  while (next_turn(&ms)) {
    const uint64_t start = now_ns(), cpu = cpu_us(), deadline = start + (uint64_t)(ms * 1e6);
    uint64_t now, records = 0;
    do {
      for (int i = 0; i < RECORDS_BETWEEN_CLOCKS; i++) {
        memcpy(source, &number, sizeof number);
        memcpy(ring + at, source, size);
        __asm__ volatile("" ::"r"(ring) : "memory");  // each copy is made
        number++;
        at += size;
        if (at + size > RING_BYTES) at = 0;
      }
      records += RECORDS_BETWEEN_CLOCKS;
      now = now_ns();
    } while (now < deadline);
    printf("{\"records\":%lu,\"ms\":%.4f,\"cpuMs\":%.4f}\n", records, (double)(now - start) / 1e6,
           (double)(cpu_us() - cpu) / 1e3);
    fflush(stdout);
  }
  return 0;
}
