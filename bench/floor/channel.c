// The yardstick: the product's frame protocol in C, as four processes of a benchmark side.
//
//   channel writer PATH SIZE BATCH [like-js]      one-way: writes until its time is up, or so many as it is told, which
//                                                 is whole batches; then a record numbered END
//   channel reader PATH IDLE                      one-way: reads until END
//   channel ping PATH-OUT PATH-IN SIZE IDLE       round trips: writes one, waits for its echo
//   channel pong PATH-IN PATH-OUT SIZE IDLE       answers each record with one of the same number
//
// IDLE: eager | adaptive[:LEAST:MOST:ENOUGH] | steady:PAUSES | skipping[:LEAST:MOST:ENOUGH]
//
// Each record starts with a running number; the reader checks that it runs without a gap, and sums the last bytes.
#include "reader.h"
#include "writer.h"

#define CAPACITY (8u << 20)
#define MOST_A_POLL 256
#define RECORDS_BETWEEN_CLOCKS 256
#define TRIPS_BETWEEN_CLOCKS 64
#define MAX_BATCH 64
#define MAX_SIZE 65536
#define END UINT32_MAX
#define NUMBERS (1u << 30)
#define LAST_BYTE 0x5a

typedef struct {
  uint64_t records, sum, gaps;
  uint32_t expected;
  int ended;
} tally;

static inline uint32_t number_of(const uint8_t *payload) {
  uint32_t number;
  memcpy(&number, payload, sizeof number);
  return number;
}

static inline uint32_t next_number(uint32_t number) { return (number + 1) & (NUMBERS - 1); }

static inline void check(void *context, const uint8_t *payload, uint32_t size) {
  tally *t = context;
  uint32_t number = number_of(payload);
  if (__builtin_expect(number != t->expected, 0)) {
    if (number == END) {
      t->ended = 1;
      return;
    }
    t->gaps++;
  }
  t->expected = next_number(number);
  t->sum += payload[size - 1];
  t->records++;
}

static idle parse_idle(const char *text) {
  idle how = {.kind = EAGER};
  char name[16] = "";
  unsigned least = 16, most = 512, enough = 64;
  if (sscanf(text, "steady:%u", &most) == 1) return (idle){.kind = STEADY, .most = most};
  sscanf(text, "%15[a-z]:%u:%u:%u", name, &least, &most, &enough);
  if (strcmp(name, "eager") == 0) return how;
  if (strcmp(name, "adaptive") == 0) how.kind = ADAPTIVE;
  else if (strcmp(name, "skipping") == 0) how.kind = SKIPPING;
  else {
    fprintf(stderr, "unknown idle '%s'\n", text);
    exit(2);
  }
  how.least = least;
  how.most = most;
  how.enough = enough;
  return how;
}

typedef struct {
  uint64_t start, cpu;
} turn;

static turn begin_turn(void) {
  say("{\"running\":true}");
  return (turn){now_ns(), cpu_us()};
}

static void end_turn(turn t, uint64_t end, const tally *count, uint64_t refusals, uint64_t looks, uint64_t empty) {
  printf(
      "{\"startNs\":%llu,\"endNs\":%llu,\"wallUs\":%llu,\"cpuUs\":%llu,\"rssKiB\":%ld,\"records\":%llu,\"sum\":%llu,\"gaps\":%llu,"
      "\"refusals\":%llu,\"looks\":%llu,\"emptyLooks\":%llu}\n",
      (unsigned long long)t.start, (unsigned long long)end, (unsigned long long)(now_ns() - t.start) / 1000,
      (unsigned long long)(cpu_us() - t.cpu), rss_kib(),
      (unsigned long long)count->records, (unsigned long long)count->sum, (unsigned long long)count->gaps,
      (unsigned long long)refusals, (unsigned long long)looks, (unsigned long long)empty);
  fflush(stdout);
}

static uint8_t *source_buffer(uint32_t size) {
  uint8_t *source = aligned_alloc(64, (size + 63u) / 64 * 64);
  memset(source, 0x11, size);
  source[size - 1] = LAST_BYTE;
  return source;
}

static inline void put_number(uint8_t *payload, uint32_t number) { memcpy(payload, &number, sizeof number); }

static inline void write_or_wait(writer *w, const uint8_t *payload, uint32_t size) {
  while (!write_record(w, payload, size, 0)) relax(PAUSES_WHEN_REFUSED);
}

static void write_turns(writer *w, uint32_t size, uint32_t batch) {
  uint8_t *sources[MAX_BATCH];
  for (uint32_t i = 0; i < batch; i++) sources[i] = source_buffer(size);
  uint32_t number = 0;
  double ms;
  uint64_t most;
  say("{\"ready\":true}");
  while (next_counted_turn(&ms, &most)) {
    tally count = {0};
    uint64_t refusals = w->refusals;
    turn t = begin_turn();
    uint64_t deadline = t.start + (uint64_t)(ms * 1e6);
    do {
      const uint64_t some = most - count.records < RECORDS_BETWEEN_CLOCKS ? most - count.records : RECORDS_BETWEEN_CLOCKS;
      for (uint64_t left = some; left > 0; left -= batch) {
        for (uint32_t i = 0; i < batch; i++) {
          put_number(sources[i], number);
          number = next_number(number);
        }
        if (batch == 1) {
          write_or_wait(w, sources[0], size);
        } else {
          while (!write_records(w, (const void *const *)sources, batch, size)) relax(PAUSES_WHEN_REFUSED);
        }
      }
      count.records += some;
    } while (count.records < most && now_ns() < deadline);
    put_number(sources[0], END);
    write_or_wait(w, sources[0], size);
    publish_tail(w);
    count.sum = count.records * LAST_BYTE;
    end_turn(t, now_ns(), &count, w->refusals - refusals, 0, 0);
  }
}

static void read_turns(reader *r) {
  tally count = {0};
  double ms;
  say("{\"ready\":true}");
  while (next_turn(&ms)) {
    count = (tally){.expected = count.expected};
    uint64_t looks = r->looks, empty = r->empty;
    turn t = begin_turn();
    while (!count.ended) poll_records(r, check, &count, MOST_A_POLL);
    end_turn(t, now_ns(), &count, 0, r->looks - looks, r->empty - empty);
  }
}

static void ping_turns(writer *out, reader *in, uint32_t size) {
  uint8_t *source = source_buffer(size);
  tally count = {0};
  uint32_t number = 0;
  double ms;
  say("{\"ready\":true}");
  while (next_turn(&ms)) {
    count = (tally){.expected = count.expected};
    uint64_t looks = in->looks, empty = in->empty;
    turn t = begin_turn();
    uint64_t now, deadline = t.start + (uint64_t)(ms * 1e6);
    do {
      for (uint32_t i = 0; i < TRIPS_BETWEEN_CLOCKS; i++) {
        put_number(source, number);
        number = next_number(number);
        write_or_wait(out, source, size);
        while (poll_records(in, check, &count, MOST_A_POLL) == 0) {
        }
      }
      now = now_ns();
    } while (now < deadline);
    put_number(source, END);
    write_or_wait(out, source, size);
    end_turn(t, now, &count, 0, in->looks - looks, in->empty - empty);
  }
}

typedef struct {
  tally count;
  writer *out;
  uint8_t *source;
} echo;

static inline void answer(void *context, const uint8_t *payload, uint32_t size) {
  echo *e = context;
  check(&e->count, payload, size);
  if (e->count.ended) return;
  put_number(e->source, number_of(payload));
  write_or_wait(e->out, e->source, size);
}

static void pong_turns(writer *out, reader *in, uint32_t size) {
  echo e = {.out = out, .source = source_buffer(size)};
  double ms;
  say("{\"ready\":true}");
  while (next_turn(&ms)) {
    e.count = (tally){.expected = e.count.expected};
    uint64_t looks = in->looks, empty = in->empty;
    turn t = begin_turn();
    while (!e.count.ended) poll_records(in, answer, &e, MOST_A_POLL);
    end_turn(t, now_ns(), &e.count, 0, in->looks - looks, in->empty - empty);
  }
}

static writer create_twin(const char *path) {
  writer w = create_writer(path, CAPACITY);
  say("{\"created\":true}");
  return w;
}

// The other side's channel is there once the harness has heard "created" from both, and says "open".
static void await_open(void) {
  char line[64];
  if (fgets(line, sizeof line, stdin) == NULL) exit(0);
}

static uint32_t size_argument(const char *text) {
  long size = atol(text);
  if (size < 8 || size > MAX_SIZE) {
    fprintf(stderr, "size must be 8..%d\n", MAX_SIZE);
    exit(2);
  }
  return (uint32_t)size;
}

int main(int argc, char **argv) {
  const char *role = argc > 1 ? argv[1] : "";
  if (strcmp(role, "writer") == 0 && (argc == 5 || argc == 6)) {
    uint32_t batch = (uint32_t)atol(argv[4]);
    if (batch < 1 || batch > MAX_BATCH || RECORDS_BETWEEN_CLOCKS % batch != 0) return 2;
    writer w = create_twin(argv[2]);
    w.like_js = argc == 6;
    await_open();
    write_turns(&w, size_argument(argv[3]), batch);
  } else if (strcmp(role, "reader") == 0 && argc == 4) {
    say("{\"created\":true}");
    await_open();
    reader r = register_reader(argv[2], parse_idle(argv[3]));
    read_turns(&r);
  } else if ((strcmp(role, "ping") == 0 || strcmp(role, "pong") == 0) && argc == 6) {
    int pings = role[1] == 'i';
    writer out = create_twin(argv[pings ? 2 : 3]);
    await_open();
    reader in = register_reader(argv[pings ? 3 : 2], parse_idle(argv[5]));
    (pings ? ping_turns : pong_turns)(&out, &in, size_argument(argv[4]));
  } else {
    fprintf(stderr, "wrong arguments: see the head of channel.c\n");
    return 2;
  }
  return 0;
}
