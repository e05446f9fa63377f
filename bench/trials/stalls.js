import { fileURLToPath } from 'node:url';
import { figure, share } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { longTurns, turnDistributions } from './stall-rows.js';

const CAPACITY = 2 ** 30;
const RECORD = 1024;
const MEGABYTES_A_SECOND = 50;
const EVERY_MS = 100;
/** Creating three channels of 1 GiB, and bringing them to a slow disk, comes before the measured minute. */
const CREATING_TAKES_MS = 300_000;

const millrace = fileURLToPath(new URL('./stalls-process.js', import.meta.url));

export const stalls = {
  name: 'stalls',
  title: 'How long a steady writer holds its event loop',
  about: `${RECORD}-byte records at ${MEGABYTES_A_SECOND} MB/s into linear channels of ${CAPACITY / 2 ** 30} GiB, made
beforehand. Each turn of the event loop, a chain of \`setImmediate\`, writes what is due, and the time between two turns
is recorded. Millions of turns take a microsecond, so their quantiles are kind to long ones: *waits* are what an event has
to wait that comes at any moment. Beside it the same without syncing, and the same in memory: what is seen there, too, is
the machine, the garbage collector or strangers. \`--single-threaded-gc\` takes V8's waiting for its own helper threads
away.`,
  full: { seconds: 60 },

  async run({ folder, disk, cpus, node, options: { seconds }, progress }) {
    const variants = [
      { name: `disk, sync every ${EVERY_MS} ms`, into: disk, everyMs: EVERY_MS, flags: [] },
      { name: 'disk, no sync', into: disk, everyMs: 0, flags: [] },
      { name: 'memory, no sync', into: folder, everyMs: 0, flags: [] },
      {
        name: 'disk, sync, single-threaded GC',
        into: disk,
        everyMs: EVERY_MS,
        flags: ['--single-threaded-gc'],
      },
    ];
    const summary = [];
    for (const [i, { name, flags, ...variant }] of variants.entries()) {
      summary.push({ name, ...(await measure(variant, cpus.join(','), [...node, ...flags], seconds)) });
      progress(i + 1, variants.length);
    }
    return { size: RECORD, batch: 1, capacity: CAPACITY, megabytesASecond: MEGABYTES_A_SECOND, summary };
  },

  rows({ summary, size }) {
    const ms = (value) => figure('ms', value);
    const turns = (one) => ({
      group: 'turns of the event loop',
      name: one.name,
      figures: {
        p50: ms(one.turns.p50),
        p99: ms(one.turns.p99),
        'p99.9': ms(one.turns.p999),
        'p99.99': ms(one.turns.p9999),
        max: ms(one.turns.max),
        'waits p99.9': ms(one.waits.p999),
        'waits p99.99': ms(one.waits.p9999),
        'longest write': ms(one.longestActMs),
      },
      samples: one.turns.count,
    });
    const surroundings = (one) => ({
      group: 'what it took',
      name: one.name,
      figures: {
        written: figure('B/s', (one.records * size) / one.seconds),
        'most behind': ms(one.mostBehindMs),
        cpu: share(one.cpu),
        'without a cpu': ms(one.waitedForCpuMs),
        'taken by the host': ms(one.stolenMs),
        heap: figure('B', one.heapBytes),
        rss: figure('KiB', one.rssKiB),
      },
      note: `${one.syncs} syncs, ${longTurns(one)}`,
    });
    return [...summary.map(turns), ...summary.map(surroundings)];
  },

  distributions: ({ summary }) => turnDistributions(summary),
};

async function measure({ into, everyMs }, cpus, flags, seconds) {
  const args = [into, everyMs, CAPACITY, RECORD, MEGABYTES_A_SECOND].map(String);
  const started = new PinnedProcess(cpus, process.execPath, [...flags, millrace, ...args]);
  try {
    await started.hear();
    started.say(`run ${seconds}`);
    return await started.hear(CREATING_TAKES_MS + seconds * 1000);
  } finally {
    await started.end();
  }
}
