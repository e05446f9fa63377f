import { holdContests } from '../harness/contest.js';
import { cpuFigures } from '../harness/figures.js';
import { spread } from '../harness/statistics.js';
import { contestRows, timeTo } from './beside.js';
import { Contenders, checkSizes } from './contenders.js';
import * as sides from './sides.js';
import * as threads from './thread-sides.js';

const KIND = 'round-trip';
const script = new URL('./roundtrip-process.js', import.meta.url);

const BUSY = 'Millrace, busy';
const IN_THREADS = 'Millrace, busy, threads';
const SHM_RING = 'shm-typed-array ring';
const THREAD_RING = 'hand-made ring, threads';
const NOT_SLOWER = 'at least as fast';
const SPUN_PORTS = { text: 'receiveMessageOnPort spun, text', bytes: 'receiveMessageOnPort spun, bytes' };

/** The channel where somebody else has something to do, or a thread sleeps. */
const WAITING = {
  'Millrace, adaptive': { crossing: 'millrace', idle: 'adaptive' },
  'Millrace, parked': { crossing: 'millrace', idle: 'park' },
  'Millrace, blocking, adaptive': { crossing: 'millrace', idle: 'adaptive', blocks: true },
  'Millrace, blocking, parked': { crossing: 'millrace', idle: 'park', blocks: true },
};

const EVENT_LOOPS = {
  'process.send, json, text': { crossing: 'process.send', serialization: 'json', form: 'text' },
  'process.send, advanced, text': { crossing: 'process.send', serialization: 'advanced', form: 'text' },
  'process.send, advanced, bytes': { crossing: 'process.send', serialization: 'advanced', form: 'bytes' },
  'postMessage, text': { crossing: 'postMessage', form: 'text' },
  'postMessage, bytes': { crossing: 'postMessage', form: 'bytes' },
  'Unix socket': { crossing: 'socket' },
  'zeromq, pair': { crossing: 'zeromq' },
};

const BARS = [
  { ours: BUSY, others: Object.keys(EVENT_LOOPS), called: 'the quickest by event loop', least: 50 },
  { ours: BUSY, others: Object.values(SPUN_PORTS), called: 'receiveMessageOnPort spun', least: 8 },
  { ours: BUSY, others: [SHM_RING], called: 'the ring on shm-typed-array', least: 1, text: NOT_SLOWER },
];

export const roundtripBusy = {
  name: 'roundtrip-busy',
  title: 'Round trips back to back, beside others',
  about: `A record there, and one of the same number back; the answer is the signal for the next. *Busy*: both ends do
nothing but poll (\`idle: 'spin'\`). *Adaptive* and *parked*: two event loops, each with \`for await\` and \`write\`. *Blocking*:
two threads with \`waitSync\`. Where nothing else is said the ends are two processes; *threads* are two worker threads of one.
C with *futex* and *FIFO* carries a number only, and each message wakes a process that sleeps. Ratios are taken round by round.
What each peer does is in bench/README.md.`,
  quick: { sizes: [64], turns: 3, ms: 40 },
  full: { sizes: [16, 64, 256, 1024], turns: 20, ms: 80 },

  async run({ cpus, node, ...context }) {
    const { sizes } = context.options;
    checkSizes(sizes);
    const contests = await holdContests(
      sizes.map((size) => ({
        size,
        group: `${size} bytes`,
        contendersIn: (folder) => all(new Contenders({ folder, cpus, node }), folder, size),
      })),
      context,
    );
    return { batch: 1, capacity: '8MiB', contests };
  },

  rows: ({ contests }) =>
    contests.flatMap((contest) => [lineRow(contest), ...contestRows(contest, figuresOf, BARS)]),
};

/** What the probe saw, there and back. */
function lineRow({ group, rounds }) {
  const ns = spread(rounds.map(({ probe }) => probe.oneWayNs * 2));
  return { group, name: 'C, a cache line', figures: { 'round trip': { unit: 'ns', ...ns } } };
}

function all(contenders, folder, size) {
  const spinning = (name, description) => contenders.spinning(name, description);
  const talking = ([name, config]) =>
    contenders.talking(name, script, (ms) => `trips ${ms} 0`, { ...config, size });
  return [
    spinning('C, busy', sides.cRoundTrip(folder, size, 'eager')),
    contenders.waking('C, futex', 'futex'),
    contenders.waking('C, FIFO', 'fifo'),
    spinning(BUSY, sides.millraceRoundTrip(folder, size, 'spin')),
    spinning(IN_THREADS, threads.millraceThreads(KIND, folder, size, 'spin')),
    ...Object.entries(WAITING).map(talking),
    spinning(SHM_RING, sides.shmRingRoundTrip(folder, size)),
    spinning(THREAD_RING, threads.threadRing(KIND, size)),
    spinning('ringbuf.js, threads', threads.ringbuf(KIND, size, 'one')),
    ...Object.entries(SPUN_PORTS).map(([form, name]) => spinning(name, threads.spunPort(KIND, size, form))),
    ...Object.entries(EVENT_LOOPS).map(talking),
  ];
}

function figuresOf(rates, name) {
  const { median, p10, p90 } = rates.spread(name);
  return {
    figures: {
      'round trip': { unit: 'ns', median: 1e9 / median, p10: 1e9 / p90, p90: 1e9 / p10 },
      ...cpuFigures(rates.turns(name)),
    },
    ratio: timeTo(rates, name, name === THREAD_RING ? IN_THREADS : BUSY),
  };
}
