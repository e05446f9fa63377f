import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { holdContests } from '../harness/contest.js';
import { cpuFigures, share, sum } from '../harness/figures.js';
import { contestRows, rateTo, samplesOf } from './beside.js';
import { Contenders } from './contenders.js';
import * as sides from './sides.js';

const SIZE = 64;
const EACH_MS = 1;
const script = fileURLToPath(new URL('../peers/sequence-lock-process.js', import.meta.url));

const LOCK = 'sequence lock over mmap-io';
const OURS = 'Millrace';
const EAGER = 'Millrace, eager';
const BAR = [
  { ours: OURS, others: [LOCK], called: 'the sequence lock', least: 1 / 1.2, text: 'within 1.2 times' },
];

class Players {
  #contenders;
  #folder;

  constructor(place) {
    this.#contenders = new Contenders(place);
    this.#folder = place.folder;
  }

  lock(kind, roles, pauseMs = 0) {
    const paths = ['there', 'back'].map((way) => join(this.#folder, way));
    const [front, back] = roles.map((role) => {
      const args = [role, String(SIZE), ...paths, String(pauseMs)];
      return [process.execPath, script, ...args];
    });
    return this.#contenders.spinning(LOCK, { name: LOCK, kind, front, back, mayBeAbsent: true });
  }

  updates(name, idle, pauseMs) {
    const side = sides.millraceOneWay(this.#folder, SIZE, 'by-one', idle, pauseMs);
    return this.#contenders.spinning(name, side);
  }

  trips(name, idle) {
    return this.#contenders.spinning(name, sides.millraceRoundTrip(this.#folder, SIZE, idle));
  }
}

const GAMES = {
  'updates, the reader looks all the time': (players) => [
    players.lock('one-way', ['publisher', 'observer']),
    players.updates(OURS, 'adaptive'),
    players.updates(EAGER, 'spin'),
  ],
  [`updates, the reader looks each ${EACH_MS} ms`]: (players) => [
    players.lock('one-way', ['publisher', 'observer'], EACH_MS),
    players.updates(OURS, 'adaptive', EACH_MS),
  ],
  'a value there, and one back': (players) => [
    players.lock('round-trip', ['ping', 'pong']),
    players.trips(OURS, 'adaptive'),
    players.trips(EAGER, 'spin'),
  ],
};

export const latestValue = {
  name: 'latest-value',
  title: 'The latest value, beside a sequence lock',
  about: `Of ${SIZE} bytes that are updated as fast as it goes only the latest value counts. A sequence lock over mmap-io holds
one value, and whoever looks gets a whole copy of it; it keeps nothing, and its writer waits for nobody. Millrace does the same
work with each update as a record, and the reader reads them all; so it holds the writer back where it is slower. *There and
back*: each end waits for the other's value. Ratios are taken round by round.`,
  quick: { turns: 5, ms: 40 },
  full: { turns: 20, ms: 80 },

  async run({ cpus, node, ...context }) {
    const contests = await holdContests(
      Object.entries(GAMES).map(([group, players]) => ({
        group,
        contendersIn: (folder) => players(new Players({ folder, cpus, node })),
      })),
      context,
    );
    return { size: SIZE, batch: 1, capacity: '8MiB', contests };
  },

  rows: ({ contests }) => contests.flatMap((contest) => contestRows(contest, figuresOf, BAR)),
};

function figuresOf(rates, name) {
  const turns = rates.turns(name);
  const seen = sum(turns.map((turn) => turn.seen ?? turn.records));
  return {
    figures: {
      rate: { unit: '/s', ...rates.spread(name) },
      'seen by the reader': share(seen / samplesOf(rates, name)),
      ...cpuFigures(turns),
    },
    ratio: rateTo(rates, name, LOCK),
  };
}
