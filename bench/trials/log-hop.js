import { holdContests } from '../harness/contest.js';
import { barOfTrips, cpuFigures } from '../harness/figures.js';
import { parts } from '../harness/progress.js';
import { Rounds } from '../harness/rounds.js';
import { SIZE } from '../peers/crossings.js';
import { samplesOf } from './beside.js';
import { Contenders } from './contenders.js';

const script = new URL('./roundtrip-process.js', import.meta.url);
const PAUSE_MS = 5;
const TIMES = 2;

const channel = (idle) => `channel, for await, ${idle}`;
const tail = (idle) => `log, tail, ${idle}`;
const ITERATED = 'log, for await';
const WAYS = {
  [channel('adaptive')]: { crossing: 'millrace', idle: 'adaptive' },
  [channel('park')]: { crossing: 'millrace', idle: 'park' },
  [tail('adaptive')]: { crossing: 'log', idle: 'adaptive' },
  [tail('park')]: { crossing: 'log', idle: 'park' },
  [ITERATED]: { crossing: 'log' },
};
const BASES = {
  [tail('adaptive')]: channel('adaptive'),
  [tail('park')]: channel('park'),
  [ITERATED]: channel('adaptive'),
};

export const logHop = {
  name: 'log-hop',
  title: 'From an append to a tailer in another process',
  about: `A record of ${SIZE} bytes is appended to one log; who follows it in another process answers by one of another log,
which the first process follows: two hops. _Tail_: \`await tail.ready()\`, then \`tail.poll\`, with \`idle\` as it says; _for await_:
\`log.read({ follow: true })\`, which takes no \`idle\`. Beside it the same by two channels. *Back to back*: the answer is the signal
for the next; *after silence*: each comes ${PAUSE_MS} ms after the last answer, and the median of a turn's trips, without their pauses,
is what is compared. Both are pinned to a cpu each, so none spins.`,
  full: { turns: 20, ms: 80, restedMs: 300 },

  async run({ folder, cpus, node, progress, options: { turns, ms, restedMs }, ...context }) {
    const kinds = [
      { group: 'back to back', ms, pauseMs: 0 },
      { group: `after ${PAUSE_MS} ms of silence`, ms: restedMs, pauseMs: PAUSE_MS },
    ];
    const shares = parts(
      progress,
      kinds.map((kind) => kind.ms),
    );
    const contests = [];
    for (const [i, { group, ms: turnMs, pauseMs }] of kinds.entries()) {
      const contendersIn = (own) => {
        const contenders = new Contenders({ folder: own, cpus, node });
        return Object.entries(WAYS).map(([name, config]) =>
          contenders.talking(name, script, (most) => `trips ${most} ${pauseMs}`, { ...config, size: SIZE }),
        );
      };
      const own = { ...context, folder, progress: shares[i], options: { turns, ms: turnMs } };
      contests.push(...(await holdContests([{ group, contendersIn }], own)));
    }
    return { size: SIZE, batch: 1, pauseMs: PAUSE_MS, contests };
  },

  rows: ({ contests }) => contests.flatMap(contestRows),
};

function contestRows({ group, names, rounds }) {
  const times = new Rounds(rounds, ({ perSecond, us }) => us?.p50 ?? 1e6 / perSecond);
  return names.map((name) => {
    const turns = times.turns(name);
    const base = BASES[name];
    const ratio = base && { to: base, what: 'time', ...times.ratio(name, base) };
    return {
      group,
      name,
      figures: { 'two hops': { unit: 'us', ...times.spread(name) }, ...cpuFigures(turns) },
      ratio,
      bar: ratio && judged(ratio, turns, times.turns(base)),
      samples: samplesOf(times, name),
    };
  });
}

function judged(ratio, ours, other) {
  const areMeans = ours.every(({ us }) => us === undefined);
  return barOfTrips(`at most ${TIMES} times`, ratio.median, TIMES, { ours, other, areMeans });
}
