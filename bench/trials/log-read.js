import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOf, reason, sum } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { barRow, FILE, LMDB, LOG, SQLITE, usageFigures } from './log-contenders.js';

const script = fileURLToPath(new URL('./log-read-process.js', import.meta.url));
const SIZE = 25;
const SHARE = 0.33;
const TIMES = 2.2;
const MOST_OF_PEERS = 1_000_000;
const PATIENCE_MS = 600_000;

const CHANNEL = 'channel, poll';
const READERS = [
  {
    name: LOG,
    store: 'log',
    isOurs: true,
    readers: ['tail.poll', 'batches()', 'for await', 'for await, reverse'],
  },
  { name: 'channel', store: 'linear', isOurs: true, readers: ['poll'] },
  { name: SQLITE, store: 'sqlite', readers: ['iterate'], mayBeAbsent: true },
  { name: LMDB, store: 'lmdb', readers: ['getRange'], mayBeAbsent: true },
  { name: FILE, store: 'file', readers: ['readSync'] },
];
const POLLED = `${LOG}, tail.poll`;
const twice = (name) => `${name}, twice as many`;

export const logRead = {
  name: 'log-read',
  title: 'Reading a log from its beginning',
  about: `Records of ${SIZE} bytes in memory are read in order; each one's number and last byte are summed and checked. The log
by a tail's \`poll\`, by \`batches()\` and by \`for await\`, which copy each record out, and backwards; twice as many of them take
twice the time, as they should. Beside it a linear channel's \`poll\`, better-sqlite3's \`iterate\` of a prepared statement, lmdb's
\`getRange\`, and a file read by 1 MiB and cut by hand. These peers have at most a million, which is no matter for their rate.`,
  quick: { records: 100_000, turns: 3 },
  full: { records: 10_000_000, turns: 7 },

  async run({ folder, cpus, node, options: { records, turns }, progress }) {
    const started = [];
    const absent = {};
    const sides = [];
    try {
      for (const { name, store, readers, isOurs, mayBeAbsent } of READERS) {
        const count = isOurs ? records : Math.min(records, MOST_OF_PEERS);
        const own = join(folder, store);
        mkdirSync(own);
        const config = { store, folder: own, size: SIZE, records: store === 'log' ? 2 * count : count };
        const process = new PinnedProcess(cpus[0], globalThis.process.execPath, [
          ...node,
          script,
          JSON.stringify(config),
        ]);
        started.push(process);
        try {
          await process.hear(PATIENCE_MS);
        } catch (error) {
          if (!mayBeAbsent) throw error;
          for (const reader of readers) absent[`${name}, ${reader}`] = reason(error);
          continue;
        }
        const drain = (which, limit) => async () => {
          process.say(`drain ${which} ${limit}`);
          return process.hear(PATIENCE_MS);
        };
        for (const [which, reader] of readers.entries()) {
          sides.push({ name: `${name}, ${reader}`, turn: drain(which, count) });
          if (store === 'log')
            sides.push({ name: twice(`${name}, ${reader}`), turn: drain(which, 2 * count) });
        }
      }
      const rounds = await takeRounds(sides, { turns, warmUp: 1, progress });
      return { size: SIZE, batch: 1000, names: sides.map(({ name }) => name), absent, rounds };
    } finally {
      await Promise.all(started.map((process) => process.end()));
    }
  },

  rows({ names, absent, rounds }) {
    const group = `records of ${SIZE} bytes, in memory`;
    const rates = new Rounds(rounds, ({ perSecond }) => perSecond);
    const times = new Rounds(rounds, ({ usage }) => usage.ms);
    const rows = names.map((name) => {
      const base = names.find((one) => name === twice(one));
      const ratio = base && times.ratio(name, base);
      const waited =
        base && [name, base].map((one) => usageFigures(rates.turns(one))['without a cpu'].median);
      return {
        group,
        name,
        figures: { rate: { unit: '/s', ...rates.spread(name) }, ...usageFigures(rates.turns(name)) },
        ratio: ratio && { to: base, what: 'time', ...ratio },
        bar: ratio && barOf(`at most ${TIMES} times`, ratio.median <= TIMES, { waited, limit: TIMES }),
        samples: sum(rates.turns(name).map(({ records }) => records)),
      };
    });
    return [
      ...rows,
      ...Object.entries(absent).map(([name, why]) => ({ group, name, absent: why })),
      barRow(`${group}, to be shown`, rates, { ours: POLLED, others: [CHANNEL], least: SHARE }),
    ];
  },
};
