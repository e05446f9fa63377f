import { holdContests } from '../harness/contest.js';
import { sum } from '../harness/figures.js';
import { Rounds } from '../harness/rounds.js';
import { FILE, LOG, present, STORES, storeContender, usageFigures } from './log-contenders.js';

const EVERY_MS = 100;
const BATCH = 100;

export const logInterval = {
  name: 'log-interval',
  title: 'Appending at full speed, synced at intervals',
  about: `Batches of ${BATCH} records onto a disk, which has them ${EVERY_MS} ms later: \`sync: { everyMs: ${EVERY_MS} }\`, and \`ready()\`
where appending is refused because 256 MiB wait. A turn ends when all it appended is on the disk. Beside it better-sqlite3 (WAL,
\`synchronous=FULL\`) with one transaction for ${EVERY_MS} ms: with \`NORMAL\` the disk would have a row some time, and nobody knows
when; lmdb with its defaults, which commits each turn of the event loop, flushes while it goes on, and is waited for after
${EVERY_MS} ms; a file that is written by 1 MiB and has an \`fdatasync\` under way each ${EVERY_MS} ms, which is what the disk
takes in sequence. What better-sqlite3 and the file have appended is lost with their process until then; a log's and lmdb's isn't.`,
  full: { sizes: [25, 100, 1024], turns: 5, ms: 2000 },

  async run({ disk, cpus, node, ...context }) {
    const sync = { everyMs: EVERY_MS };
    const contests = await holdContests(
      context.options.sizes.map((size) => ({
        size,
        contendersIn: (folder) =>
          Object.entries(STORES).map(([name, store]) =>
            storeContender(
              name,
              (ms) => `flushed ${ms}`,
              { store, sync, size, batch: BATCH },
              { folder, cpus, node },
            ),
          ),
      })),
      { ...context, folder: disk },
    );
    return { batch: BATCH, everyMs: EVERY_MS, contests };
  },

  rows: ({ contests }) => contests.flatMap(contestRows),
};

function contestRows({ size, names, absent, rounds }) {
  const group = `${size} bytes`;
  const rates = new Rounds(rounds, ({ perSecond }) => perSecond * size);
  return names.map((name) => {
    if (name in absent) return { group, name, absent: absent[name] };
    const own = rates.turns(name);
    return {
      group,
      name,
      figures: { values: { unit: 'B/s', ...rates.spread(name) }, ...usageFigures(own) },
      ...(name !== FILE &&
        present(rates, [FILE]).length > 0 && {
          ratio: { to: FILE, what: 'bytes', ...rates.ratio(name, FILE) },
        }),
      samples: sum(own.map(({ records }) => records)),
      note: name === LOG ? `waited for ${own.at(-1).rollStalls} of the last log's segments` : undefined,
    };
  });
}
