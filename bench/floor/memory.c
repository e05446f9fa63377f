// What memory gives: the bytes of a file, mapped and present, read once, copied once, or read with one word
// stored back each STRIDE bytes, which is what filling in checksums would take if checksums took nothing.
//
//   memory PATH
//
// "read LENGTH", "copy LENGTH" and "touch LENGTH STRIDE" are answered with the time of one pass over the
// first LENGTH bytes.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"

static uint64_t read_all(const uint8_t *from, size_t length) {
  uint64_t a = 0, b = 0, c = 0, d = 0;
  const uint64_t *words = (const uint64_t *)from;
  for (size_t i = 0; i + 4 <= length / 8; i += 4) {
    a += words[i];
    b += words[i + 1];
    c += words[i + 2];
    d += words[i + 3];
  }
  return a + b + c + d;
}

static uint64_t touch_all(uint8_t *from, size_t length, size_t stride) {
  uint64_t sum = 0;
  for (size_t at = 0; at + stride <= length; at += stride) {
    sum += read_all(from + at, stride);
    *(volatile uint32_t *)(from + at + 12) = (uint32_t)at;
  }
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "memory PATH\n");
    return 2;
  }
  int fd = open(argv[1], O_RDONLY);
  struct stat facts;
  if (fd < 0 || fstat(fd, &facts) != 0) fail(argv[1]);
  const size_t bytes = (size_t)facts.st_size;
  // Private, so that the stores of `touch` leave the file as it is; made present, and so copied, before
  // anything is measured.
  uint8_t *file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  uint8_t *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (file == MAP_FAILED || copy == MAP_FAILED) fail("mmap");
  for (size_t at = 0; at < bytes; at += 4096) {
    *(volatile uint8_t *)(file + at) = file[at];
    *(volatile uint8_t *)(copy + at) = 1;
  }
  volatile uint64_t kept;
  char line[64], what[8];
  size_t length, stride;
  say("{\"ready\":true}");
  while (fgets(line, sizeof line, stdin) != NULL) {
    stride = 0;
    if (sscanf(line, "%7s %zu %zu", what, &length, &stride) < 2 || length > bytes) return 2;
    const uint64_t start = now_ns(), cpu = cpu_us();
    if (what[0] == 'c') {
      memcpy(copy, file, length);
    } else {
      kept = what[0] == 't' ? touch_all(file, length, stride) : read_all(file, length);
      (void)kept;
    }
    const uint64_t took = now_ns() - start, used = cpu_us() - cpu;
    printf("{\"ms\":%.4f,\"cpuMs\":%.4f}\n", (double)took / 1e6, (double)used / 1e3);
    fflush(stdout);
  }
  return 0;
}
