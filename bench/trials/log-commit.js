import { holdContests } from '../harness/contest.js';
import { sum } from '../harness/figures.js';
import { Rounds } from '../harness/rounds.js';
import { spread } from '../harness/statistics.js';
import { barRow, FILE, LMDB, LOG, SQLITE, STORES, storeContender, usageFigures } from './log-contenders.js';

const SIZE = 100;
const WAITERS = [1, 16, 256];
const GROUP = 'on a disk';

const waiting = (count) => `${LOG}, ${count} ${count === 1 ? 'waiter' : 'waiters'}`;
const together = (name, count) => `${name}, ${count === 1 ? 'one by one' : `${count} together`}`;

const SIDES = [
  ...WAITERS.map((count) => ({ name: waiting(count), store: STORES[LOG], count })),
  ...[SQLITE, LMDB, FILE].flatMap((name) =>
    [1, 16].map((count) => ({ name: together(name, count), store: STORES[name], count })),
  ),
];

const BARS = [
  { ours: waiting(1), others: [together(SQLITE, 1)], least: 0.8 },
  { ours: waiting(16), others: [together(SQLITE, 16)], least: 1 },
  { ours: waiting(1), others: [together(LMDB, 1)], least: 0.8 },
  { ours: waiting(16), others: [together(LMDB, 16)], least: 1 },
];

export const logCommit = {
  name: 'log-commit',
  title: 'Commits to a log',
  about: `Records of ${SIZE} bytes, each of which is on the disk before the next one of the same waiter is begun. In a log waiters
are loops of \`await log.commit(record)\` that share its syncs. Beside it better-sqlite3 (WAL, \`synchronous=FULL\`), a transaction
for each row or for 16; lmdb, \`await db.put(…)\` or a \`batch\` of 16, and \`await db.flushed\`; a file, \`fs.writeSync\` of one record
or of 16 put together, and \`fs.fdatasyncSync\`. _p50_ and _p99_ are how long one commit takes, for 16 together how long all do;
each is the median of the turns'.`,
  quick: { turns: 4, ms: 100 },
  full: { turns: 30, ms: 300 },

  async run({ disk, cpus, node, ...context }) {
    const contendersIn = (folder) =>
      SIDES.map(({ name, store, count }) =>
        storeContender(
          name,
          (ms) => `commit ${ms} ${count}`,
          { store, sync: 'commit', size: SIZE, batch: 1 },
          { folder, cpus, node },
        ),
      );
    const [contest] = await holdContests([{ contendersIn }], { ...context, folder: disk });
    return { size: SIZE, batch: 1, contest };
  },

  rows({ contest: { names, absent, rounds } }) {
    const rates = new Rounds(rounds, ({ perSecond }) => perSecond);
    const rows = names.map((name) => {
      if (name in absent) return { group: GROUP, name, absent: absent[name] };
      const own = rates.turns(name);
      return {
        group: GROUP,
        name,
        figures: {
          records: { unit: '/s', ...rates.spread(name) },
          p50: { unit: 'us', ...spread(own.map(({ us }) => us.p50)) },
          p99: { unit: 'us', ...spread(own.map(({ us }) => us.p99)) },
          ...usageFigures(own),
        },
        samples: sum(own.map(({ records }) => records)),
      };
    });
    return [...rows, ...BARS.map((bar) => barRow(`${GROUP}, to be shown`, rates, bar))];
  },
};
