// What the disk itself takes: records copied into a mapped file that has all its blocks, each brought to the
// disk by an fdatasync of its own.
//
//   commits PATH BYTES RECORD frame|frame-and-header|by-a-thread
//
// `frame` makes one page dirty a commit, the least there can be; `frame-and-header` also stores a word into
// the file's first page, as a channel does that says how far it got. `by-a-thread`: the same, and another thread
// syncs while this one sleeps in epoll, as an event loop must that is not to be held. "run MS" is answered with the
// commits, the time and their quantiles.
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

#define PAGE 4096u
#define FRAME_HEADER 16u
#define MOST_SAMPLES (1u << 20)

static uint64_t samples[MOST_SAMPLES];

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

// Written once and synced, so that no commit has to tell the file system about a block.
static uint8_t *create(const char *path, size_t bytes, int *fd) {
  *fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (*fd < 0) fail(path);
  if (posix_fallocate(*fd, 0, (off_t)bytes) != 0) fail("posix_fallocate");
  uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, *fd, 0);
  if (at == MAP_FAILED) fail("mmap");
  memset(at, 0, bytes);
  if (fsync(*fd) != 0) fail("fsync");
  return at;
}

static int synced_fd, done, bell;
static _Atomic uint32_t asked;

static void *sync_when_asked(void *unused) {
  for (uint32_t seen = 0;; seen++) {
    while (asked == seen) syscall(SYS_futex, &asked, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    if (fdatasync(synced_fd) != 0) fail("fdatasync");
    if (eventfd_write(done, 1) != 0) fail("eventfd_write");
  }
  return unused;
}

static void start_thread(int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  pthread_t thread;
  synced_fd = fd;
  done = eventfd(0, EFD_CLOEXEC);
  bell = epoll_create1(EPOLL_CLOEXEC);
  if (done < 0 || bell < 0 || epoll_ctl(bell, EPOLL_CTL_ADD, done, &event) != 0) fail("epoll");
  if (pthread_create(&thread, NULL, sync_when_asked, NULL) != 0) fail("pthread_create");
}

static void sync_by_thread(void) {
  struct epoll_event event;
  eventfd_t once;
  asked++;
  syscall(SYS_futex, &asked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  while (epoll_wait(bell, &event, 1, -1) != 1) continue;
  if (eventfd_read(done, &once) != 0) fail("eventfd_read");
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "commits PATH BYTES RECORD frame|frame-and-header|by-a-thread\n");
    return 2;
  }
  const size_t bytes = strtoull(argv[2], NULL, 10), record = strtoull(argv[3], NULL, 10);
  const size_t taken = (record + FRAME_HEADER + 15) / 16 * 16;
  const int with_header = strcmp(argv[4], "frame") != 0, by_thread = strcmp(argv[4], "by-a-thread") == 0;
  int fd;
  uint8_t *file = create(argv[1], bytes, &fd);
  if (by_thread) start_thread(fd);
  uint8_t *source = malloc(taken);
  memset(source, 0x11, taken);
  size_t at = PAGE;
  uint64_t committed = 0;
  double ms;
  say("{\"ready\":true}");
  while (next_turn(&ms)) {
    const uint64_t start = now_ns(), deadline = start + (uint64_t)(ms * 1e6), cpu = cpu_us();
    uint64_t before = start, count = 0;
    do {
      // Over its own start again once it is full: what is below was written as often as what lies ahead.
      if (at + taken > bytes) at = PAGE;
      memcpy(source, &committed, sizeof committed);
      memcpy(file + at, source, taken);
      at += taken;
      committed++;
      if (with_header) memcpy(file, &committed, sizeof committed);
      if (by_thread) sync_by_thread();
      else if (fdatasync(fd) != 0) fail("fdatasync");
      const uint64_t now = now_ns();
      if (count < MOST_SAMPLES) samples[count] = now - before;
      count++;
      before = now;
    } while (before < deadline);
    const uint64_t used = cpu_us() - cpu;
    const size_t n = count < MOST_SAMPLES ? count : MOST_SAMPLES;
    qsort(samples, n, sizeof *samples, by_size);
    printf("{\"commits\":%lu,\"ms\":%.3f,\"cpuMs\":%.3f,\"rssKiB\":%ld,", count,
           (double)(before - start) / 1e6, (double)used / 1e3, rss_kib());
    printf("\"us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"p9999\":%.1f,\"max\":%.1f}}\n",
           (double)samples[n / 2] / 1e3, (double)samples[n - 1 - n / 10] / 1e3,
           (double)samples[n - 1 - n / 100] / 1e3, (double)samples[n - 1 - n / 1000] / 1e3,
           (double)samples[n - 1 - n / 10000] / 1e3, (double)samples[n - 1] / 1e3);
    fflush(stdout);
  }
  return 0;
}
