import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reason, share, sum } from '../harness/figures.js';
import { BATCH } from '../harness/participant.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { Side } from '../harness/side.js';
import { number } from '../harness/units.js';
import { removeCrossing } from '../peers/crossings.js';
import * as sides from './sides.js';

const oneWayProcess = fileURLToPath(new URL('./one-way-process.js', import.meta.url));

const SIZE = 71;
const IDLE = 'adaptive';
const PATIENCE_MS = 120_000;

const BY_ONE = 'by one';
const BY_BATCH = `batches of ${BATCH}`;

/** Processes that the harness starts both of, and those where the front starts its back. */
const pair = (describe) => ({ start: (context) => startPair(describe, context) });
const shmRing = (batch) => ({
  ...pair((folder) => sides.shmRingOneWay(folder, SIZE, batch)),
  mayBeAbsent: true,
});
const crossing = (config) => ({ start: (context, name) => startCrossing(config, context, name) });

const WAYS = [
  { group: BY_ONE, name: 'C', ...pair((folder) => sides.cOneWay(folder, SIZE, 1, IDLE)) },
  {
    group: BY_ONE,
    name: 'millrace',
    ...pair((folder) => sides.millraceOneWay(folder, SIZE, 'by-one', IDLE)),
  },
  { group: BY_ONE, name: 'shm-typed-array ring', ...shmRing(1) },
  {
    group: BY_ONE,
    name: 'process.send',
    timed: true,
    ...crossing({ crossing: 'process.send', serialization: 'json', form: 'text' }),
  },
  { group: BY_BATCH, name: 'C', ...pair((folder) => sides.cOneWay(folder, SIZE, BATCH, IDLE)) },
  {
    group: BY_BATCH,
    name: 'millrace',
    ...pair((folder) => sides.millraceOneWay(folder, SIZE, 'by-batch', IDLE)),
  },
  { group: BY_BATCH, name: 'shm-typed-array ring', ...shmRing(BATCH) },
  { group: BY_BATCH, name: 'Unix socket', ...crossing({ crossing: 'socket', batch: BATCH }) },
];

const sideName = ({ group, name }) => `${name}, ${group}`;

export const classic = {
  name: 'classic',
  title: 'Many records from one process to another',
  about:
    `Records of ${SIZE} bytes from one process to another, as fast as the reader takes them: 10 million a turn in a full run. Each carries a running number;` +
    ` counts and sums of both ends must agree. Written one by one, and in batches of ${BATCH}, over rings of 8 MiB; the socket gets ${BATCH} frames a write.` +
    ' Readers poll, and stay away for a moment after an empty look. `process.send` (JSON, a string of as many characters) gets a fixed time instead, and sends what fits into it.',
  quick: { turns: 5, records: 1_000_000, ms: 400 },
  full: { turns: 8, records: 10_000_000, ms: 3000 },

  async run({ folder, cpus, node, probe, options, progress }) {
    const { turns, records, ms } = options;
    if (records % BATCH > 0) throw new Error(`records must be whole batches of ${BATCH}, not ${records}`);
    const started = [];
    const absent = {};
    try {
      for (const way of WAYS) {
        const name = sideName(way);
        try {
          const side = await way.start({ folder, cpus, node }, name);
          started.push({
            ...side,
            name,
            turn: () => (way.timed ? side.run(ms) : side.run(PATIENCE_MS, records)),
          });
        } catch (error) {
          if (!way.mayBeAbsent) throw error;
          absent[name] = reason(error);
        }
      }
      const rounds = await takeRounds(started, { turns, warmUp: 1, probe, progress });
      return { size: SIZE, records, ms, absent, rounds };
    } finally {
      await Promise.all(started.map(({ end }) => end()));
    }
  },

  rows: (results) => WAYS.map((way) => rowOf(results, way)),
};

async function startPair(describe, { folder, cpus }) {
  const side = await Side.start(describe(folder), cpus);
  return { run: (ms, records) => side.turn(ms, records), end: () => side.end() };
}

async function startCrossing(config, { folder, cpus, node }, name) {
  const address = join(folder, name.replaceAll(/\W/g, ''));
  const text = JSON.stringify({ size: SIZE, ...config, oneWay: true, address, cpus, node });
  const front = new PinnedProcess(cpus[0], process.execPath, [...node, oneWayProcess, 'front', text]);
  const end = async () => {
    await front.end();
    removeCrossing(address);
  };
  try {
    await front.hear();
  } catch (error) {
    await end();
    throw error;
  }
  return {
    async run(ms, records = '') {
      front.say(`run ${ms} ${records}`.trim());
      return front.hear(ms + PATIENCE_MS);
    },
    end,
  };
}

/** A turn of one end says what it used in milliseconds, or, where it is one of a pair, in microseconds. */
function cpuShare(turns, end) {
  return sum(turns.map(({ [end]: own }) => own.cpuMs / own.ms || own.cpuUs / own.wallUs)) / turns.length;
}

function rowOf({ rounds, records, ms, absent }, way) {
  const { group, name, timed } = way;
  const side = sideName(way);
  if (absent[side] !== undefined) return { group, name, absent: absent[side] };
  const rates = new Rounds(rounds, (turn) => (turn.records / turn.elapsedNs) * 1e9);
  const turns = rates.turns(side);
  const ours = sideName({ group, name: 'millrace' });
  const sent = sum(turns.map((turn) => turn.records));
  const all = { unit: 'ns', ...new Rounds(rounds, ({ elapsedNs }) => elapsedNs).spread(side) };
  return {
    group,
    name,
    figures: {
      records: { unit: '/s', ...rates.spread(side) },
      ...(!timed && { [`for ${number(records)}`]: all }),
      'cpu of the writer': share(cpuShare(turns, 'front')),
      'cpu of the reader': share(cpuShare(turns, 'back')),
    },
    ...(side !== ours && { ratio: { to: "millrace's", what: 'rate', ...rates.ratio(side, ours) } }),
    ...(timed && { note: `${number(sent / turns.length)} records a turn: what fits into ${ms} ms` }),
    samples: sent,
  };
}
