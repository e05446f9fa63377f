import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { curve, figure, share, shareOf, sum } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { parts } from '../harness/progress.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { number } from '../harness/units.js';
import { removeCrossing } from '../peers/crossings.js';

const script = fileURLToPath(new URL('./fixed-rate-process.js', import.meta.url));

const SIZE = 64;
const SOCKET = 'Unix socket';
const WAYS = [
  { name: 'millrace, poll, spin', config: { crossing: 'ring', how: 'spin', idle: 'spin' } },
  { name: 'millrace, poll, adaptive', config: { crossing: 'ring', how: 'poll', idle: 'adaptive' } },
  { name: 'millrace, for await, adaptive', config: { crossing: 'ring', how: 'for await', idle: 'adaptive' } },
  { name: 'millrace, poll, park', config: { crossing: 'ring', how: 'poll', idle: 'park' } },
  { name: SOCKET, config: { crossing: 'socket' } },
  { name: `${SOCKET}, 16 a write`, config: { crossing: 'socket', batch: 16 } },
  { name: 'process.send', config: { crossing: 'process.send', serialization: 'json', form: 'text' } },
];
const STARTS_WITHIN_MS = 60_000;
/** A rate is kept by whoever kept it in so many of the turns. */
const MOST = 0.5;

const sideName = (rate, name) => `${rate} ${name}`;

export const fixedRate = {
  name: 'fixed-rate',
  title: 'Latency at a fixed rate',
  about:
    `Records of ${SIZE} bytes that go at fixed moments, whatever becomes of those before them: one late record makes the next ones late, too,` +
    ' and all of that is counted (no coordinated omission). The latency of a record is from the moment when it should have gone to the one when the' +
    ' reader’s code has it, on a clock that both share; it is worked out after the turn. The sender waits for the moment on its own cpu, and gives its event loop a turn each' +
    ' millisecond. _Spin_ polls and does nothing else; the others `await reader.ready()` and poll, or iterate. Rings are those of the defaults. Quantiles by' +
    ' turn; the curves are those of all turns together. Who doesn’t keep the rate has no latency: the longer it goes on, the later all is.',
  quick: { turns: 2, ms: 120, rates: [10_000, 100_000, 1_000_000] },
  full: { turns: 12, ms: 1000, rates: [10_000, 100_000, 1_000_000] },

  async run({ folder, cpus, node, probe, options, progress }) {
    const { turns, ms, rates } = options;
    const [starting, taking] = parts(progress, [1, turns]);
    const sides = [];
    try {
      for (const [i, { name, config }] of WAYS.entries()) sides.push(await start(i, name, config));
      const each = rates.flatMap((rate) => sides.map(({ name, ask }) => ({ rate, name, ask })));
      for (const [i, { rate, ask }] of each.entries()) {
        await ask(`run ${rate} ${ms}`);
        await ask(`forget ${rate}`);
        starting(i + 1, each.length);
      }
      const rounds = await takeRounds(
        each.map(({ rate, name, ask }) => ({
          name: sideName(rate, name),
          turn: () => ask(`run ${rate} ${ms}`),
        })),
        { turns, warmUp: 0, probe, progress: taking },
      );
      const all = {};
      for (const { rate, name, ask } of each) all[sideName(rate, name)] = await ask(`all ${rate}`);
      return { size: SIZE, batch: 1, rates, ms, all, rounds };
    } finally {
      await Promise.all(sides.map(({ end }) => end()));
    }

    async function start(i, name, config) {
      const address = join(folder, `fixed-rate-${i}`);
      const text = JSON.stringify({ size: SIZE, ...config, oneWay: true, address, cpus, node });
      const front = new PinnedProcess(cpus[0], process.execPath, [...node, script, 'front', text]);
      await front.hear(STARTS_WITHIN_MS);
      return {
        name,
        async ask(line) {
          front.say(line);
          return front.hear(ms + STARTS_WITHIN_MS);
        },
        async end() {
          await front.end();
          removeCrossing(address);
        },
      };
    }
  },

  rows: (results) => results.rates.flatMap((rate) => WAYS.map(({ name }) => rowOf(results, rate, name))),

  distributions: ({ rates, rounds, all }) =>
    rates.map((rate) => ({
      title: `${number(rate)} records a second: from when each should have gone to when it was there`,
      unit: 'ns',
      series: WAYS.filter(({ name }) => keeps(rounds, rate, name)).map(({ name }) => {
        const seen = all[sideName(rate, name)];
        return { name, quantiles: curve(seen, seen.count) };
      }),
    })),
};

function keeps(rounds, rate, name) {
  const turns = new Rounds(rounds).turns(sideName(rate, name));
  return turns.filter(({ kept }) => kept).length > turns.length * MOST;
}

function rowOf({ rounds, all }, rate, name) {
  const group = `${number(rate)} a second`;
  const side = sideName(rate, name);
  const turns = new Rounds(rounds).turns(side);
  if (!keeps(rounds, rate, name)) {
    const { median } = new Rounds(rounds, ({ perSecond }) => perSecond).spread(side);
    return { group, name, note: `doesn't keep the rate: ${number(median)} a second` };
  }
  const quantile = (which) => ({
    unit: 'ns',
    ...new Rounds(rounds, ({ latencies }) => latencies[which]).spread(side),
  });
  const missed = turns.filter(({ kept }) => !kept).length;
  return {
    group,
    name,
    figures: {
      p50: quantile('p50'),
      p99: quantile('p99'),
      'p99.9': quantile('p999'),
      'max of all': figure('ns', all[side].max),
      "reader's cpu": share(shareOf(turns, 'back')),
      'without a cpu': share(shareOf(turns, 'back', 'waitedMs')),
    },
    ...(name !== SOCKET &&
      keeps(rounds, rate, SOCKET) && {
        ratio: {
          to: SOCKET,
          what: 'p50',
          ...new Rounds(rounds, ({ latencies }) => latencies.p50).ratio(side, sideName(rate, SOCKET)),
        },
      }),
    ...(missed > 0 && { note: `didn't keep the rate in ${missed} of ${turns.length} turns` }),
    samples: sum(turns.map(({ sent }) => sent)),
  };
}
