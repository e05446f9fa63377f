import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { percent, sum } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';

const script = fileURLToPath(new URL('./fan-out-process.js', import.meta.url));

const SIZE = 64;
const CAPACITY = 8 * 2 ** 20;
const FLOODED = [1, 2, 4];
const COSTED = [0, 1, 2, 3, 4];
const MOST = 4;
/** About a third of the ring: nobody has to wait for room, and each reader looks some times within a burst. */
const BURST = 32_768;
const RATE = 1_000_000;
/** Of the writer's cpu a record without readers: what each of them may add. */
const BAR = 0.1;
const STARTS_WITHIN_MS = 60_000;

const flooded = (readers) => `flood ${readers}`;
const costed = (pace, readers) => `${pace} ${readers}`;

export const fanOut = {
  name: 'fan-out',
  title: 'One writer, some readers',
  about:
    `${SIZE}-byte records from one process to 1, 2 and 4 others, over a ring of ${CAPACITY / 2 ** 20} MiB; each reader holds the` +
    ' writer back (`gate: true`) and checks all that it gets. _As fast as the slowest takes them_: as many readers as there are cores' +
    ' beside the writer’s poll busily; the others share these cores, and poll each millisecond. _What a reader costs_: readers that' +
    ' poll each millisecond and keep up, all on the other cpu; the cpu that the writer’s process uses within its writes alone, for a' +
    ` record, in bursts of ${BURST} records (the readers catch up in between), and at ${RATE / 1e6} million a second (each` +
    ' millisecond those that are due).',
  quick: { turns: 6, ms: 50 },
  full: { turns: 20, ms: 100 },

  async run({ folder, cpus, node, probe, options, progress }) {
    const path = join(folder, 'fan-out');
    const others = otherCpus(cpus);
    const started = [];
    const start = async (cpu, role) => {
      const text = JSON.stringify({ path, size: SIZE, capacity: CAPACITY });
      const process = new PinnedProcess(cpu, globalThis.process.execPath, [...node, script, role, text]);
      started.push(process);
      await process.hear(STARTS_WITHIN_MS);
      return process;
    };
    try {
      const writer = await start(cpus[0], 'writer');
      const readers = [];
      for (let i = 0; i < MOST; i++) readers.push(await start(others[i % others.length], 'reader'));
      const busy = (count) => Math.min(count, others.length);
      const flood = (count) => () =>
        turn(
          writer,
          readers.slice(0, count),
          (i) => (i < busy(count) ? 'busy' : 'each-ms'),
          `flood ${options.ms}`,
        );
      const cost = (count, pace) => () => turn(writer, readers.slice(0, count), () => 'each-ms', pace);
      const rounds = await takeRounds(
        [
          ...FLOODED.map((count) => ({ name: flooded(count), turn: flood(count) })),
          ...COSTED.map((count) => ({
            name: costed('bursts', count),
            turn: cost(count, `bursts ${options.ms} ${BURST}`),
          })),
          ...COSTED.map((count) => ({
            name: costed('paced', count),
            turn: cost(count, `paced ${options.ms} ${RATE}`),
          })),
        ],
        { turns: options.turns, probe, progress },
      );
      return {
        size: SIZE,
        batch: 1,
        capacity: CAPACITY,
        burst: BURST,
        rate: RATE,
        cpus: [cpus[0], ...others],
        rounds,
      };
    } finally {
      await Promise.all(started.map((process) => process.end()));
      rmSync(path, { force: true });
    }
  },

  rows: (results) => [
    ...FLOODED.map((readers) => floodRow(results, readers)),
    ...COSTED.map((readers) => costRow(results, 'bursts', readers)),
    ...COSTED.map((readers) => costRow(results, 'paced', readers)),
  ],
};

/** Those that this process may use beside the writer's; the one that the readers were given comes first. */
function otherCpus([writers, readers]) {
  const [, list] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const allowed = list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return [readers, ...allowed.filter((cpu) => cpu !== writers && cpu !== readers)];
}

async function turn(writer, readers, how, line) {
  for (const [i, reader] of readers.entries()) reader.say(how(i));
  await Promise.all(readers.map((reader) => reader.hear())); // running
  writer.say(line);
  const [front, ...backs] = await Promise.all([writer, ...readers].map((process) => process.hear()));
  for (const { records, sum: bytes, gaps } of backs) {
    if (records !== front.records || bytes !== front.sum || gaps > 0) {
      throw new Error(`a reader lost or mangled records: ${JSON.stringify({ front, backs })}`);
    }
  }
  return { ...front, endNs: Math.max(...[front, ...backs].map(({ endNs }) => endNs)) };
}

function floodRow({ rounds, cpus }, readers) {
  const rates = new Rounds(rounds, ({ records, startNs, endNs }) => (records / (endNs - startNs)) * 1e9);
  const { median, p10, p90 } = rates.spread(flooded(readers));
  const delivered = { median: median * readers, p10: p10 * readers, p90: p90 * readers };
  const busy = Math.min(readers, cpus.length - 1);
  return {
    group: 'as fast as the slowest takes them',
    name: count(readers),
    figures: { written: { unit: '/s', median, p10, p90 }, 'read, by all': { unit: '/s', ...delivered } },
    ...(readers > 1 && {
      ratio: { to: count(1), what: 'written', ...rates.ratio(flooded(readers), flooded(1)) },
    }),
    note: `${busy} polled busily${readers > busy ? `, ${readers - busy} each millisecond, on ${busy} cpu${busy > 1 ? 's' : ''}` : ''}`,
    samples: sum(rates.turns(flooded(readers)).map(({ records }) => records)),
  };
}

const PACES = {
  bursts: () => 'what a reader costs the writer, in bursts',
  paced: ({ rate }) => `what a reader costs the writer, at ${rate / 1e6} million a second`,
};

function costRow(results, pace, readers) {
  const { rounds } = results;
  const costs = new Rounds(rounds, ({ writingUs, records }) => (writingUs * 1000) / records);
  const name = costed(pace, readers);
  const row = {
    group: PACES[pace](results),
    name: count(readers),
    figures: { "writer's cpu a record": { unit: 'ns', ...costs.spread(name) } },
    samples: sum(costs.turns(name).map(({ records }) => records)),
  };
  if (readers === 0) return row;
  const ratio = costs.ratio(name, costed(pace, 0));
  const refusals = sum(costs.turns(name).map((turn) => turn.refusals));
  return {
    ...row,
    ratio: { to: count(0), ...ratio },
    bar: {
      text: `each adds under ${percent(BAR)}`,
      met: refusals > 0 ? undefined : (ratio.median - 1) / readers < BAR,
      limit: 1 + BAR * readers,
    },
    ...(refusals > 0 && { note: `the writer was held back ${refusals} times` }),
  };
}

function count(readers) {
  return readers === 0 ? 'no reader' : `${readers} reader${readers > 1 ? 's' : ''}`;
}
