// A file of BYTES made and mapped, as a channel's creation does, and written through twice: what the kernel takes for it.
//
//   creation
//
// "populated PATH BYTES" allocates the file and maps all of its pages; "plain PATH BYTES" says only how long it is
// (ftruncate), and leaves each page to the first write that touches it. Both are answered with the time that making,
// each of two passes of copying RECORD bytes, and unmapping took; the file is removed.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define RECORD 1024
#define PAGE 4096

static void pass(uint8_t *to, size_t bytes, const uint8_t *record) {
  for (size_t at = 0; at + RECORD <= bytes; at += RECORD) memcpy(to + at, record, RECORD);
}

// MAP_POPULATE would map shared pages for reading only: on a disk their first write would take a fault all the same.
static void populate(uint8_t *at, size_t bytes) {
  if (madvise(at, bytes, MADV_POPULATE_WRITE) == 0) return;
  for (size_t page = 0; page < bytes; page += PAGE) *(volatile uint8_t *)(at + page) = 0;
}

int main(void) {
  static uint8_t record[RECORD];
  memset(record, 0x11, sizeof record);
  char line[4096], what[16], path[3968];
  size_t bytes;
  say("{\"ready\":true}");
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "%15s %3967s %zu", what, path, &bytes) != 3) return 2;
    const int populated = what[1] == 'o';
    const uint64_t start = now_ns();
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail(path);
    if (populated ? posix_fallocate(fd, 0, (off_t)bytes) != 0 : ftruncate(fd, (off_t)bytes) != 0) fail("allocate");
    uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) fail("mmap");
    if (populated) populate(at, bytes);
    const uint64_t made = now_ns();
    pass(at, bytes, record);
    const uint64_t first = now_ns();
    pass(at, bytes, record);
    const uint64_t second = now_ns();
    munmap(at, bytes);
    close(fd);
    const uint64_t closed = now_ns();
    unlink(path);
    printf("{\"createNs\":%lu,\"firstNs\":%lu,\"secondNs\":%lu,\"closeNs\":%lu,\"written\":%zu}\n", made - start,
           first - made, second - first, closed - second, bytes / RECORD * RECORD);
    fflush(stdout);
  }
  return 0;
}
