// Ways to wake a process that sleeps: waking WAY FOLDER CPU CPU. Two processes, one on each cpu, share a mapped file. A
// message is a number stored there, and the way of waking only says that it is there; whoever is woken looks for the
// number, and sleeps again if it isn't. Nobody looks without sleeping first, so each message has to wake somebody.
//
//   inotify-access   the waker reads a byte of the channel's file; an inotify watch on it is in the sleeper's epoll
//   inotify-modify   the same, but the waker writes the byte
//   fifo             a byte through a FIFO beside the file, which is in the sleeper's epoll
//   stream           a byte through a connected Unix stream socket of an abstract name
//   datagram         a byte to a Unix datagram socket of an abstract name, addressed each time
//   futex            the sleeper waits for the word itself: no epoll
//   futex-eventfd    a second thread of the sleeper waits for the word, and tells the epoll by an eventfd
//   waitv-eventfd    that second thread waits for 100 words, each on a page of its own
//
// Each line on standard input is answered with one on standard output:
//   run MS                  round trips back to back
//   latency MS PAUSE-US     how long each took; both sleep so long before each
//   cost MS PAUSE-US        how long the call that wakes took, the sleeper being asleep
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"

#define PAGE 4096
#define WORDS 100
#define FILE_BYTES (2 * WORDS * PAGE)
// The word that is woken, among those that are waited for: in the middle.
#define RUNG (WORDS / 2)
#define TRIPS_BETWEEN_CLOCKS 16
#define MOST_SAMPLES (1 << 20)
#define STACK_BYTES (64 * 1024)

typedef _Atomic uint32_t word;

typedef struct end {
  uint8_t *pages;  // of the mapping: where this end is told
  char path[PATH_MAX];
  struct sockaddr_un name;
  socklen_t name_length;
  int epoll;
  int ear;   // what the sleeper has in its epoll
  int bell;  // what the waker uses
  uint32_t seen;
  uint64_t in_vain;
} end;

static end ends[2];
static uint64_t samples[MOST_SAMPLES];

static word *word_of(end *e, int which) { return (word *)(e->pages + (size_t)which * PAGE); }
static word *message_of(end *e) { return word_of(e, RUNG); }

// ---- what each way is made of

typedef struct {
  const char *name;
  void (*prepare)(end *e);  // before the fork
  void (*listen)(end *e);   // in the sleeper
  void (*attach)(end *e);   // in the waker, once the sleeper listens
  void (*ring)(end *e);
  void (*sleep)(end *e);
} way;

static void nothing(end *e) { (void)e; }

static void into_epoll(end *e, int fd) {
  e->ear = fd;
  e->epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (e->epoll < 0 || epoll_ctl(e->epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll");
}

// As an event loop does: sleep in epoll, then empty what was rung.
static void sleep_in_epoll(end *e) {
  _Alignas(struct inotify_event) char drained[4096];
  struct epoll_event event;
  while (epoll_wait(e->epoll, &event, 1, -1) < 1)
    if (errno != EINTR) fail("epoll_wait");
  if (read(e->ear, drained, sizeof drained) < 0 && errno != EAGAIN) fail("read");
}

static void listen_inotify(end *e, uint32_t mask) {
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0 || inotify_add_watch(fd, e->path, mask) < 0) fail("inotify");
  into_epoll(e, fd);
}
static void listen_access(end *e) { listen_inotify(e, IN_ACCESS); }
static void listen_modify(end *e) { listen_inotify(e, IN_MODIFY); }
static void attach_file(end *e) {
  e->bell = open(e->path, O_RDWR | O_CLOEXEC);
  if (e->bell < 0) fail(e->path);
}
static void ring_access(end *e) {
  char byte;
  if (pread(e->bell, &byte, 1, 0) != 1) fail("pread");
}
static void ring_modify(end *e) {
  if (pwrite(e->bell, "", 1, 0) != 1) fail("pwrite");
}

static void prepare_fifo(end *e) {
  strcat(e->path, ".fifo");
  if (mkfifo(e->path, 0600) != 0) fail(e->path);
}
static void listen_fifo(end *e) {
  int fd = open(e->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail(e->path);
  into_epoll(e, fd);
}
static void attach_fifo(end *e) {
  // For both, too: the sleeper may not have opened it yet.
  e->bell = open(e->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (e->bell < 0) fail(e->path);
}
static void ring_byte(end *e) {
  if (write(e->bell, "", 1) != 1) fail("write");
}

static int bound(end *e, int type) {
  int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&e->name, e->name_length) != 0) fail("bind");
  return fd;
}
static void prepare_stream(end *e) {
  e->ear = bound(e, SOCK_STREAM);
  if (listen(e->ear, 1) != 0) fail("listen");
  e->bell = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (e->bell < 0 || connect(e->bell, (struct sockaddr *)&e->name, e->name_length) != 0) fail("connect");
}
static void listen_stream(end *e) {
  int fd = accept4(e->ear, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) fail("accept");
  into_epoll(e, fd);
}
static void prepare_datagram(end *e) { e->ear = bound(e, SOCK_DGRAM); }
static void listen_datagram(end *e) { into_epoll(e, e->ear); }
static void attach_datagram(end *e) {
  e->bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (e->bell < 0) fail("socket");
}
static void ring_datagram(end *e) {
  if (sendto(e->bell, "", 1, 0, (struct sockaddr *)&e->name, e->name_length) != 1) fail("sendto");
}

static void ring_futex(end *e) {
  if (syscall(SYS_futex, message_of(e), FUTEX_WAKE, INT_MAX, NULL, NULL, 0) < 0) fail("futex");
}
static void await_word(end *e, uint32_t seen) {
  if (syscall(SYS_futex, message_of(e), FUTEX_WAIT, seen, NULL, NULL, 0) != 0 && errno != EAGAIN && errno != EINTR)
    fail("futex");
}
static void sleep_in_futex(end *e) { await_word(e, e->seen); }

static void hand_over(end *e) {
  if (eventfd_write(e->ear, 1) != 0) fail("eventfd");
}
static void *listen_for_word(void *of) {
  end *e = of;
  for (uint32_t seen = 0;;) {
    await_word(e, seen);
    uint32_t now = atomic_load(message_of(e));
    if (now == seen) continue;
    seen = now;
    hand_over(e);
  }
  return NULL;
}
static void *listen_for_words(void *of) {
  end *e = of;
  struct futex_waitv words[WORDS];
  for (int i = 0; i < WORDS; i++)
    words[i] = (struct futex_waitv){.uaddr = (uintptr_t)word_of(e, i), .flags = FUTEX_32};
  for (;;) {
    long woken = syscall(SYS_futex_waitv, words, WORDS, 0, NULL, 0);
    if (woken < 0 && errno != EAGAIN && errno != EINTR) fail("futex_waitv");
    int changed = 0;
    for (int i = 0; i < WORDS; i++) {
      uint32_t now = atomic_load(word_of(e, i));
      changed |= words[i].val != now;
      words[i].val = now;
    }
    if (changed) hand_over(e);
  }
  return NULL;
}
static void listen_by_thread(end *e, void *(*body)(void *)) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) fail("eventfd");
  into_epoll(e, fd);
  pthread_attr_t small;
  pthread_t thread;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, STACK_BYTES);
  if (pthread_create(&thread, &small, body, e) != 0) fail("pthread_create");
}
static void listen_futex_thread(end *e) { listen_by_thread(e, listen_for_word); }
static void listen_waitv_thread(end *e) { listen_by_thread(e, listen_for_words); }

static const way ways[] = {
    {"inotify-access", nothing, listen_access, attach_file, ring_access, sleep_in_epoll},
    {"inotify-modify", nothing, listen_modify, attach_file, ring_modify, sleep_in_epoll},
    {"fifo", prepare_fifo, listen_fifo, attach_fifo, ring_byte, sleep_in_epoll},
    {"stream", prepare_stream, listen_stream, nothing, ring_byte, sleep_in_epoll},
    {"datagram", prepare_datagram, listen_datagram, attach_datagram, ring_datagram, sleep_in_epoll},
    {"futex", nothing, nothing, nothing, ring_futex, sleep_in_futex},
    {"futex-eventfd", nothing, listen_futex_thread, nothing, ring_futex, sleep_in_epoll},
    {"waitv-eventfd", nothing, listen_waitv_thread, nothing, ring_futex, sleep_in_epoll},
};

static const way *chosen;

// ---- two processes

static void tell(end *to) {
  atomic_fetch_add(message_of(to), 1);
  chosen->ring(to);
}

static void be_told(end *me) {
  for (;;) {
    chosen->sleep(me);
    uint32_t now = atomic_load(message_of(me));
    if (now == me->seen + 1) break;
    if (now != me->seen) fail("a message was passed over");
    me->in_vain++;
  }
  me->seen++;
}

static void answer(int cpu, int ready) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pin_to(cpu);
  chosen->listen(&ends[1]);
  if (write(ready, "", 1) != 1) fail("write");
  chosen->attach(&ends[0]);
  for (;;) {
    be_told(&ends[1]);
    tell(&ends[0]);
  }
}

static void set_up(int which, const char *folder) {
  end *e = &ends[which];
  snprintf(e->path, sizeof e->path - 8, "%s/waking-%d-%d", folder, (int)getpid(), which);
  int fd = open(e->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || posix_fallocate(fd, 0, FILE_BYTES) != 0) fail(e->path);
  e->pages = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (e->pages == MAP_FAILED) fail("mmap");
  close(fd);
  e->name.sun_family = AF_UNIX;
  int length = snprintf(e->name.sun_path + 1, sizeof e->name.sun_path - 1, "millrace-waking-%d-%d", (int)getpid(), which);
  e->name_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static uint64_t cpu_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void rest(double us) {
  if (us <= 0) return;
  struct timespec t = {(time_t)(us / 1e6), (long)((uint64_t)us % 1000000u * 1000u)};
  nanosleep(&t, NULL);
}

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static double percentile(size_t n, double q) { return (double)samples[(size_t)((double)(n - 1) * q)] / 1e3; }

int main(int argc, char **argv) {
  for (size_t i = 0; argc == 5 && i < sizeof ways / sizeof *ways; i++)
    if (strcmp(argv[1], ways[i].name) == 0) chosen = &ways[i];
  if (chosen == NULL) {
    fprintf(stderr, "waking WAY FOLDER CPU CPU\n");
    return 2;
  }
  for (int i = 0; i < 2; i++) {
    set_up(i, argv[2]);
    chosen->prepare(&ends[i]);
  }
  int ready[2];
  if (pipe(ready) != 0) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  pin_to(atoi(argv[3]));
  if (child != 0) chosen->listen(&ends[0]);
  if (child == 0) answer(atoi(argv[4]), ready[1]);
  char byte;
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) fail("the other process");
  chosen->attach(&ends[1]);
  clockid_t theirs;
  if (clock_getcpuclockid(child, &theirs) != 0) fail("clock_getcpuclockid");

  say("{\"ready\":true}");
  char line[64], what[16];
  double ms, pause_us;
  while (fgets(line, sizeof line, stdin) != NULL) {
    pause_us = 0;
    if (sscanf(line, "%15s %lf %lf", what, &ms, &pause_us) < 2) break;
    const int timed = strcmp(what, "run") != 0, only_call = strcmp(what, "cost") == 0;
    const uint64_t in_vain = ends[0].in_vain;
    const uint64_t own_cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID), their_cpu = cpu_ns(theirs);
    const uint64_t start = now_ns(), deadline = start + (uint64_t)(ms * 1e6);
    uint64_t now = start, trips = 0;
    do {
      if (timed) {
        rest(pause_us);
        const uint64_t before = now_ns();
        tell(&ends[1]);
        const uint64_t rung = only_call ? now_ns() : 0;
        be_told(&ends[0]);
        now = now_ns();
        if (trips < MOST_SAMPLES) samples[trips] = (only_call ? rung : now) - before;
        trips++;
      } else {
        for (int i = 0; i < TRIPS_BETWEEN_CLOCKS; i++) {
          tell(&ends[1]);
          be_told(&ends[0]);
        }
        trips += TRIPS_BETWEEN_CLOCKS;
        now = now_ns();
      }
    } while (now < deadline);
    const uint64_t own = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - own_cpu, other = cpu_ns(theirs) - their_cpu;
    printf("{\"trips\":%lu,\"ms\":%.3f,\"inVain\":%lu,\"cpuMs\":[%.3f,%.3f]", trips, (double)(now - start) / 1e6,
           ends[0].in_vain - in_vain, (double)own / 1e6, (double)other / 1e6);
    if (timed) {
      const size_t n = trips < MOST_SAMPLES ? trips : MOST_SAMPLES;
      qsort(samples, n, sizeof *samples, by_size);
      printf(",\"us\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"p9999\":%.2f,\"max\":%.2f}",
             percentile(n, 0.5), percentile(n, 0.9), percentile(n, 0.99), percentile(n, 0.999), percentile(n, 0.9999),
             percentile(n, 1));
    }
    puts("}");
    fflush(stdout);
  }
  kill(child, SIGKILL);
  return 0;
}
