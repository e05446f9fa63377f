// What every program of the floor needs: a clock, a cpu to sit on, and the line protocol of the harness.
#ifndef FLOOR_PROCESS_H
#define FLOOR_PROCESS_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t cpu_us(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
         (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static inline long rss_kib(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_maxrss;
}

static inline void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0) fail("pthread_setaffinity_np");
}

// Sleeps until the harness says "run MS", or "run MS RECORDS"; false when it says anything else or goes away.
static inline int next_counted_turn(double *ms, uint64_t *most) {
  char line[64];
  unsigned long long records = UINT64_MAX;
  const int understood = fgets(line, sizeof line, stdin) != NULL && sscanf(line, "run %lf %llu", ms, &records) >= 1;
  *most = records;
  return understood;
}

static inline int next_turn(double *ms) {
  uint64_t unused;
  return next_counted_turn(ms, &unused);
}

static inline void say(const char *line) {
  fputs(line, stdout);
  fputc('\n', stdout);
  fflush(stdout);
}

static inline void relax(uint32_t pauses) {
  while (pauses-- > 0) __builtin_ia32_pause();
}

#endif
