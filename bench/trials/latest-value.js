import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { contest } from '../harness/contest.js';
import { cpuFigures, share, sum } from '../harness/figures.js';
import { parts } from '../harness/progress.js';
import { barRows, ratesOf, rateTo, samplesOf } from './beside.js';
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

const ALWAYS = 'updates, the reader looks all the time';
const SELDOM = `updates, the reader looks each ${EACH_MS} ms`;
const TO_AND_FRO = 'a value there, and one back';

export const latestValue = {
  name: 'latest-value',
  title: 'The latest value, beside a sequence lock',
  about: `Of ${SIZE} bytes that are updated as fast as it goes only the latest value counts. A sequence lock over mmap-io holds
one value, and whoever looks gets a whole copy of it; it keeps nothing, and its writer waits for nobody. Millrace does the same
work with each update as a record, and the reader reads them all; so it holds the writer back where it is slower. *There and
back*: each end waits for the other's value. Ratios are taken round by round.`,
  quick: { turns: 5, ms: 40 },
  full: { turns: 20, ms: 80 },

  async run({ folder, cpus, node, probe, options: { turns, ms }, progress }) {
    const games = gamesIn(folder, new Contenders({ folder, cpus, node }));
    const shares = parts(
      progress,
      games.map(() => 1),
    );
    const contests = [];
    for (const [i, { group, contenders }] of games.entries()) {
      const names = contenders.map(({ name }) => name);
      const done = await contest(contenders, { turns, ms, probe, progress: shares[i] });
      contests.push({ group, names, ...done });
      shares[i](1, 1);
    }
    return { size: SIZE, batch: 1, capacity: '8MiB', contests };
  },

  rows({ contests }) {
    return contests.flatMap(({ group, names, absent, rounds }) => {
      const rates = ratesOf(rounds);
      return [
        ...names.map((name) =>
          name in absent ? { group, name, absent: absent[name] } : { group, name, ...figuresOf(rates, name) },
        ),
        ...barRows(group, rates, BAR),
      ];
    });
  },
};

function gamesIn(folder, contenders) {
  const lock = (game, roles, pauseMs = 0) => {
    const paths = ['there', 'back'].map((way) => join(folder, `value-${game}-${way}`));
    const [front, back] = roles.map((role) => [
      process.execPath,
      script,
      role,
      String(SIZE),
      ...paths,
      String(pauseMs),
    ]);
    const kind = roles[0] === 'ping' ? 'round-trip' : 'one-way';
    return contenders.spinning(LOCK, { name: LOCK, kind, front, back });
  };
  const channel = (name, idle, pauseMs) =>
    contenders.spinning(name, sides.millraceOneWay(folder, SIZE, 'by-one', idle, pauseMs));
  const trips = (name, idle) => contenders.spinning(name, sides.millraceRoundTrip(folder, SIZE, idle));
  return [
    {
      group: ALWAYS,
      contenders: [
        lock('always', ['publisher', 'observer']),
        channel(OURS, 'adaptive'),
        channel(EAGER, 'spin'),
      ],
    },
    {
      group: SELDOM,
      contenders: [lock('seldom', ['publisher', 'observer'], EACH_MS), channel(OURS, 'adaptive', EACH_MS)],
    },
    {
      group: TO_AND_FRO,
      contenders: [lock('trips', ['ping', 'pong']), trips(OURS, 'adaptive'), trips(EAGER, 'spin')],
    },
  ];
}

function figuresOf(rates, name) {
  const turns = rates.turns(name);
  const seen = sum(turns.map((turn) => turn.seen ?? turn.records));
  const samples = samplesOf(rates, name);
  return {
    figures: {
      rate: { unit: '/s', ...rates.spread(name) },
      'seen by the reader': share(seen / samples),
      ...cpuFigures(turns),
    },
    ratio: rateTo(rates, name, LOCK),
    samples,
  };
}
