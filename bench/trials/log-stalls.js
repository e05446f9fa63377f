import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOf, figure, share } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { longTurns, turnDistributions } from './stall-rows.js';

const script = fileURLToPath(new URL('./log-stalls-process.js', import.meta.url));
const RECORD = 1024;
const MEGABYTES_A_SECOND = 50;
const EVERY_MS = 100;
const MOST_MS = 10;
const ENDS_WITHIN_MS = 120_000;

export const logStalls = {
  name: 'log-stalls',
  title: 'How long appending to a log holds the event loop',
  about: `${RECORD}-byte records at ${MEGABYTES_A_SECOND} MB/s into a log on a disk, with segments of 32 MiB, of which it begins
a new one each 0.6 s; nothing is removed. Each turn of the event loop, a chain of \`setImmediate\`, appends what is due, at most 64
records. _Turns_ and _waits of random events_ as in the trial \`stalls\`: millions of turns take a microsecond, so their quantiles
are kind to long ones, and waits are what an event has to wait that comes at any moment. _Less waiting_: the turns, without
the time in which the thread stood ready and other threads, those of its own process too, or the machine's host had the cpu. The first 3 s, in which segments grow, are not counted.`,
  quick: { seconds: 3 },
  full: { seconds: 60 },

  async run({ disk, cpus, node, options: { seconds }, progress }) {
    const summary = [];
    const variants = [
      { name: 'no sync', everyMs: 0 },
      { name: `sync every ${EVERY_MS} ms`, everyMs: EVERY_MS },
    ];
    for (const [i, { name, everyMs }] of variants.entries()) {
      const folder = join(disk, `log-${i}`);
      mkdirSync(folder);
      const args = [script, folder, everyMs, RECORD, MEGABYTES_A_SECOND].map(String);
      const process = new PinnedProcess(cpus.join(','), globalThis.process.execPath, [...node, ...args]);
      try {
        await process.hear();
        process.say(`run ${seconds}`);
        summary.push({ name, ...(await process.hear(seconds * 1000 + ENDS_WITHIN_MS)) });
      } finally {
        await process.end();
        rmSync(folder, { recursive: true, force: true });
      }
      progress(i + 1, variants.length);
    }
    return { size: RECORD, batch: 1, megabytesASecond: MEGABYTES_A_SECOND, summary };
  },

  rows({ summary, size }) {
    const ms = (value) => figure('ms', value);
    const turns = (one) => ({
      group: 'turns of the event loop',
      name: one.name,
      figures: {
        p50: ms(one.turns.p50),
        p99: ms(one.turns.p99),
        'p99.99': ms(one.turns.p9999),
        max: ms(one.turns.max),
        'max, less waiting': ms(one.turnsWithoutCpuWait.max),
        'waits p99.9': ms(one.waits.p999),
        'waits p99.99': ms(one.waits.p9999),
        'waits p99.99, less waiting': ms(one.waitsWithoutCpuWait.p9999),
        'longest append': ms(one.longestActMs),
      },
      bar: barOf(`waits p99.99 at most ${MOST_MS} ms`, one.waits.p9999 <= MOST_MS, {
        waited: [one.waitedForCpuMs / (one.seconds * 1000)],
        of: 'waits p99.99',
      }),
      samples: one.turns.count,
    });
    const surroundings = (one) => ({
      group: 'what it took',
      name: one.name,
      figures: {
        appended: figure('B/s', (one.records * size) / one.seconds),
        'most behind': ms(one.mostBehindMs),
        rolls: figure('', one.rolls),
        'rolls that waited': figure('', one.rollStalls),
        cpu: share(one.cpu),
        'without a cpu': ms(one.waitedForCpuMs),
        'taken by the host': ms(one.stolenMs),
        heap: figure('B', one.heapBytes),
        rss: figure('KiB', one.rssKiB),
      },
      bar: barOf('no roll waits', one.rollStalls === 0, { of: 'rolls that waited' }),
      note: longTurns(one),
    });
    return [...summary.map(turns), ...summary.map(surroundings)];
  },

  distributions: ({ summary }) => turnDistributions(summary),
};
