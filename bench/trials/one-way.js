import { holdContests } from '../harness/contest.js';
import { cpuFigures } from '../harness/figures.js';
import { contestRows, rateTo } from './beside.js';
import { Contenders, checkSizes } from './contenders.js';
import * as sides from './sides.js';
import * as threads from './thread-sides.js';

const KIND = 'one-way';
const BATCH = 16;
const script = new URL('./one-way-process.js', import.meta.url);

const BY_ONE = 'Millrace, by one';
const BY_BATCH = `Millrace, batches of ${BATCH}`;
const BY_CLAIM = 'Millrace, by claim';
const IN_THREADS = 'Millrace, by one, threads';
const C_BATCH = `C, batches of ${BATCH}`;
const SHM_RING = 'shm-typed-array ring, by one';
const SHM_RING_BATCH = `shm-typed-array ring, batches of ${BATCH}`;
const THREAD_RING = 'hand-made ring, threads';
const RINGBUF = 'ringbuf.js, threads';
const RINGBUF_MANY = 'ringbuf.js, many a pop, threads';
const SOCKET_BATCH = `Unix socket, batches of ${BATCH}`;

/** Those that hand messages to an event loop, one by one. */
const EVENT_LOOPS = {
  'process.send, json, text': { crossing: 'process.send', serialization: 'json', form: 'text' },
  'process.send, advanced, text': { crossing: 'process.send', serialization: 'advanced', form: 'text' },
  'process.send, advanced, bytes': { crossing: 'process.send', serialization: 'advanced', form: 'bytes' },
  'postMessage, text': { crossing: 'postMessage', form: 'text' },
  'postMessage, bytes': { crossing: 'postMessage', form: 'bytes' },
  'Unix socket, by one': { crossing: 'socket', batch: 1 },
  'zeromq, push and pull': { crossing: 'zeromq' },
};

/** Whose rate each one's is shown as a ratio of; of all others: BY_ONE's. */
const BASES = {
  [C_BATCH]: BY_BATCH,
  [SHM_RING_BATCH]: BY_BATCH,
  [SOCKET_BATCH]: BY_BATCH,
  [THREAD_RING]: IN_THREADS,
  [RINGBUF]: IN_THREADS,
  [RINGBUF_MANY]: IN_THREADS,
};

const AT_64 = [
  { ours: BY_ONE, others: Object.keys(EVENT_LOOPS), called: 'the quickest by event loop', least: 20 },
  { ours: BY_BATCH, others: [SOCKET_BATCH], called: 'the socket batched by hand', least: 2.5 },
  { ours: IN_THREADS, others: [THREAD_RING], called: 'the hand-made ring', least: 0.9 },
  { ours: IN_THREADS, others: [RINGBUF], called: 'ringbuf.js', least: 3 },
];
const NOT_SLOWER = 'at least as fast';
const SHM_BARS = [
  { ours: BY_ONE, others: [SHM_RING], called: 'the ring on shm-typed-array', least: 1, text: NOT_SLOWER },
  { ours: BY_BATCH, others: [SHM_RING_BATCH], called: 'the same by batch', least: 1, text: NOT_SLOWER },
];
const BARS = { 64: [...AT_64, ...SHM_BARS], 1024: SHM_BARS };

export const oneWay = {
  name: 'one-way',
  title: 'One way, as fast as it goes, beside others',
  about: `The writer sends one record after the other for the length of a turn, with a running number in it; a turn ends when
the reader has the last one. Whoever receives checks each number and sums the last bytes. Where nothing else is said, writer
and reader are two processes; *threads* are two worker threads of one. Those that spin do nothing else, those by event loop
send and listen as their documentation has it, and wait where they are told to. Ratios are taken round by round. What each
peer does is in bench/README.md.`,
  quick: { sizes: [64], turns: 3, ms: 40 },
  full: { sizes: [16, 64, 256, 1024, 4096, 65536], turns: 20, ms: 80 },

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
    return { batch: BATCH, capacity: '8MiB', contests };
  },

  rows: ({ contests }) =>
    contests.flatMap((contest) => contestRows(contest, figuresOf, BARS[contest.size] ?? [])),
};

function all(contenders, folder, size) {
  const spinning = (name, description) => contenders.spinning(name, description);
  const talking = (name, config) =>
    contenders.talking(name, script, (ms) => `run ${ms}`, { ...config, size, oneWay: true });
  return [
    contenders.copying('C, memcpy alone', size),
    spinning('C, by one', sides.cOneWay(folder, size, 1, 'adaptive')),
    spinning(C_BATCH, sides.cOneWay(folder, size, BATCH, 'adaptive')),
    spinning(BY_ONE, sides.millraceOneWay(folder, size, 'by-one', 'adaptive')),
    spinning(BY_BATCH, sides.millraceOneWay(folder, size, 'by-batch', 'adaptive')),
    spinning(BY_CLAIM, sides.millraceOneWay(folder, size, 'by-claim', 'adaptive')),
    spinning(IN_THREADS, threads.millraceThreads(KIND, folder, size, 'adaptive')),
    spinning(SHM_RING, sides.shmRingOneWay(folder, size, 1)),
    spinning(SHM_RING_BATCH, sides.shmRingOneWay(folder, size, BATCH)),
    spinning(THREAD_RING, threads.threadRing(KIND, size)),
    spinning(RINGBUF, threads.ringbuf(KIND, size, 'one')),
    spinning(RINGBUF_MANY, threads.ringbuf(KIND, size, 'many')),
    spinning('receiveMessageOnPort spun, text', threads.spunPort(KIND, size, 'text')),
    spinning('receiveMessageOnPort spun, bytes', threads.spunPort(KIND, size, 'bytes')),
    ...Object.entries(EVENT_LOOPS).map(([name, config]) => talking(name, config)),
    talking(SOCKET_BATCH, { crossing: 'socket', batch: BATCH }),
  ];
}

function figuresOf(rates, name) {
  return {
    figures: { rate: { unit: '/s', ...rates.spread(name) }, ...cpuFigures(rates.turns(name)) },
    ratio: rateTo(rates, name, BASES[name] ?? BY_ONE),
  };
}
