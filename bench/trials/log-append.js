import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { holdContests } from '../harness/contest.js';
import { sum } from '../harness/figures.js';
import { parts } from '../harness/progress.js';
import { Rounds } from '../harness/rounds.js';
import { barRow, EMBEDDED, LOG, present, STORES, storeContender, usageFigures } from './log-contenders.js';

const CHANNEL_SIZE = 64;
const RING = `channel, ring, ${CHANNEL_SIZE} bytes by one`;
const LINEAR = `channel, linear, ${CHANNEL_SIZE} bytes by one`;
const CHANNELS = { [RING]: 'ring', [LINEAR]: 'linear' };

/** Least share of the ring's rate; on a disk half of that is enough. */
const SHARES = { '25 by 1': 0.2, '25 by 100': 0.5, '100 by 1': 0.1, '100 by 100': 0.25 };
const TIMES_EMBEDDED = 2;

const toldBy = (size, batch) =>
  `${size} bytes, ${batch === 1 ? 'one by one' : `by batches of ${batch.toLocaleString('en')}`}`;

export const logAppend = {
  name: 'log-append',
  title: 'Appending to a log',
  about: `Records are appended and nobody waits for the disk (\`sync: 'none'\`): what was appended outlives its process, but
maybe not the machine. Beside it tables of better-sqlite3 (WAL, \`synchronous=OFF\`, each record or batch a transaction by prepared
statements), lmdb (\`noSync\`; \`put\`, or \`batch\`, in one turn of the event loop as many as are 4 MiB or 1000; a record is safe only
when that has resolved, so it promises less) and a file (\`fs.writeSync\` of each record with its length, or of a batch put
together by hand). The channels have no readers, and are in memory always: bars are shares of the ring's rate. A new store grows before
it counts, to 128 MiB or for 0.6 s, as a log's first segments are small; one of 384 MiB is exchanged between turns.`,
  quick: { places: 'memory', forms: '25 by 100', turns: 3, ms: 40 },
  full: {
    places: 'memory, disk',
    forms: '25 by 1, 25 by 100, 100 by 1, 100 by 100, 1024 by 1000, 1024 by 10000',
    turns: 15,
    ms: 80,
  },

  async run({ folder, disk, cpus, node, progress, ...context }) {
    const folders = { memory: folder, disk };
    const places = context.options.places.split(', ');
    const unknown = places.find((place) => !(place in folders));
    if (unknown !== undefined) throw new Error(`places are memory and disk, not '${unknown}'`);
    const shares = parts(
      progress,
      places.map(() => 1),
    );
    const held = [];
    for (const [i, place] of places.entries()) {
      const own = { ...context, folder: folders[place], progress: shares[i] };
      const channels = join(folder, `channels-${i}`);
      mkdirSync(channels);
      held.push(
        ...(await holdContests(
          context.options.forms.split(', ').map((form) => {
            const [size, batch] = form.split(' by ').map(Number);
            return {
              place,
              form,
              size,
              batch,
              contendersIn: (own) =>
                all({ folder: own, cpus, node }, { folder: join(channels, form), cpus, node }, size, batch),
            };
          }),
          own,
        )),
      );
    }
    return { contests: held };
  },

  rows: ({ contests }) => contests.flatMap(contestRows),
};

function all(place, memory, size, batch) {
  const append = (ms) => `append ${ms}`;
  mkdirSync(memory.folder);
  return [
    ...Object.entries(CHANNELS).map(([name, store]) =>
      storeContender(name, append, { store, sync: 'none', size: CHANNEL_SIZE, batch: 1 }, memory),
    ),
    ...Object.entries(STORES).map(([name, store]) =>
      storeContender(name, append, { store, sync: 'none', size, batch }, place),
    ),
  ];
}

function contestRows({ place, form, size, batch, names, absent, rounds }) {
  const group = `${toldBy(size, batch)}, ${place === 'disk' ? 'on a disk' : 'in memory'}`;
  const rates = new Rounds(rounds, ({ perSecond }) => perSecond);
  const least = SHARES[form] / (place === 'disk' ? 2 : 1);
  const bars = [
    ...(Number.isNaN(least) ? [] : [{ others: [RING], least }]),
    { others: EMBEDDED, called: 'the best of better-sqlite3 and lmdb', least: TIMES_EMBEDDED },
  ];
  return [
    ...names.map((name) => {
      if (name in absent) return { group, name, absent: absent[name] };
      const own = rates.turns(name);
      const { median, p10, p90 } = rates.spread(name);
      const bytes = name in CHANNELS ? CHANNEL_SIZE : size;
      return {
        group,
        name,
        figures: {
          rate: { unit: '/s', median, p10, p90 },
          values: { unit: 'B/s', median: median * bytes, p10: p10 * bytes, p90: p90 * bytes },
          ...usageFigures(own),
        },
        ...(name !== RING &&
          present(rates, [RING]).length > 0 && {
            ratio: { to: RING, what: 'rate', ...rates.ratio(name, RING) },
          }),
        samples: sum(own.map(({ records }) => records)),
        note: name === LOG ? stallsOf(own) : undefined,
      };
    }),
    ...bars.map((bar) => barRow(`${group}, to be shown`, rates, bar)),
  ];
}

function stallsOf(turns) {
  const stalls = turns.at(-1).rollStalls;
  return `waited for ${stalls} of the last log's segments`;
}
