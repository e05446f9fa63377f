import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOf, barOfRates, cpuFigures, curve, figure, sum, waitedShares } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { parts } from '../harness/progress.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { removeCrossing, SIZE } from '../peers/crossings.js';

const script = fileURLToPath(new URL('./flood-process.js', import.meta.url));

const CAPACITY = '8MiB';
const PLENTY = 1e9;
const PATIENCE_MS = 600_000;

const send = (serialization, perMessage) => ({
  name: `process.send, ${serialization}${perMessage > 1 ? `, ${perMessage} a message` : ''}`,
  config: { how: 'messages', serialization, perMessage },
});
const SENDS = [send('json', 1), send('advanced', 1)];
const WAYS = [
  ...SENDS,
  send('json', 100),
  send('advanced', 100),
  ...['for await', 'batches', 'poll'].map((how) => ({
    name: `millrace ${how}`,
    config: { how, capacity: CAPACITY },
  })),
];
const SENT = SENDS.map(({ name }) => name);

/** Times the rate of process.send, one record a message; and how long the reader's event loop may be held. */
const BARS = { 'millrace for await': 5, 'millrace batches': 20 };
const HELD_MS = 10;
/** What lies beyond p99.99. */
const RAREST = 1e-4;

const RATE = 'the rate';
const HELD = "how long the reader's event loop is held";

export const flood = {
  name: 'flood',
  title: 'A flood of small records between event loops',
  about: `Records of ${SIZE} bytes one way, as fast as the reader takes them. The writer calls \`tryWrite\` (ring of
${CAPACITY}), and after a refusal waits for \`ready()\`; over \`process.send\` it goes on until \`send\` returns \`false\`,
and then waits until one more is away. It is read by \`for await\`, by \`batches()\`, and by \`poll\` of at most 1024
with a \`setImmediate\` after each. \`process.send\` with an array of 100 is what a careful user would do; the yardstick
is the faster of those with one record a message, which get a time (\`sendMs\`) instead of a number of records. The
reader's event loop is watched in runs of their own: the time between turns of a chain of \`setImmediate\`, only of those
in which records were read; *less waiting* without the time in which the thread stood ready and other threads, those of its own process too, or the machine's host had the cpu;
*waits* are what an event has to wait that comes at any moment.`,
  quick: { turns: 3, records: 1e6, sendMs: 150, seconds: 1 },
  full: { turns: 20, records: 1e7, sendMs: 400, seconds: 10 },

  async run({ folder, cpus, node, probe, options: { turns, records, sendMs, seconds }, progress }) {
    const [inRounds, alone] = parts(progress, [turns * (sendMs + 100), seconds * 1000]);
    const sides = [];
    try {
      for (const [i, { name, config }] of WAYS.entries()) sides.push(await start(i, name, config));
      const each = Math.ceil(records / turns);
      const taking = sides.map(({ name, isSend, ask }) => ({
        name,
        turn: () => ask(isSend ? `run ${PLENTY} ${sendMs}` : `run ${each} ${PATIENCE_MS}`),
      }));
      const rounds = await takeRounds(taking, { turns, warmUp: 2, probe, progress: inRounds });
      const watched = {};
      for (const [i, { name, ask }] of sides.entries()) {
        watched[name] = await ask(`held ${PLENTY} ${seconds * 1000}`);
        alone(i + 1, sides.length);
      }
      return { size: SIZE, batch: 1, capacity: CAPACITY, alone: watched, rounds };
    } finally {
      await Promise.all(sides.map(({ end }) => end()));
    }

    async function start(i, name, config) {
      const address = join(folder, `flood-${i}`);
      const text = JSON.stringify({ ...config, address, cpus, node });
      const writer = new PinnedProcess(cpus[0], process.execPath, [...node, script, 'writer', text]);
      await writer.hear();
      return {
        name,
        isSend: config.how === 'messages',
        async ask(line) {
          writer.say(line);
          return writer.hear(PATIENCE_MS);
        },
        async end() {
          await writer.end();
          removeCrossing(address);
        },
      };
    }
  },

  rows({ alone, rounds }) {
    const rates = new Rounds(rounds, ({ perSecond }) => perSecond);
    const base = rates.greatest(SENT);
    const rate = ({ name }) => {
      const own = rates.turns(name);
      const ratio = rates.ratio(name, base);
      const bar = BARS[name];
      return {
        group: RATE,
        name,
        figures: {
          records: { unit: '/s', ...rates.spread(name) },
          ...cpuFigures(own),
          "reader's heap": figure('B', own.at(-1).back.heapBytes),
          rss: figure('KiB', own.at(-1).back.rssKiB),
        },
        ratio: { to: base, what: 'rate', ...ratio },
        bar:
          bar &&
          barOfRates(`at least ${bar} times ${base}'s rate`, ratio.median, bar, {
            ours: sum(waitedShares(own)),
            other: sum(waitedShares(rates.turns(base))),
          }),
        samples: sum(own.map((turn) => turn.records)),
      };
    };
    const held = ({ name }) => {
      const { turns, turnsWithoutCpuWait, waits } = alone[name].back.held;
      const ms = (value) => figure('ms', value);
      return {
        group: HELD,
        name,
        figures: {
          p50: ms(turns.p50),
          p99: ms(turns.p99),
          'p99.99': ms(turns.p9999),
          max: ms(turns.max),
          'p99.99, less waiting': ms(turnsWithoutCpuWait.p9999),
          'waits p99.9': ms(waits.p999),
          'waits p99.99': ms(waits.p9999),
        },
        bar: name.startsWith('millrace')
          ? barOf(`p99.99 at most ${HELD_MS} ms`, turns.p9999 <= HELD_MS, {
              waited: waitedShares([alone[name]]),
              of: 'p99.99',
            })
          : undefined,
        samples: turns.count,
        note: turns.count * RAREST < 1 ? 'so few turns that p99.99 is the longest' : undefined,
      };
    };
    return [...WAYS.map(rate), ...WAYS.map(held)];
  },

  distributions({ alone }) {
    const series = WAYS.map(({ name }) => {
      const { turns } = alone[name].back.held;
      return { name, quantiles: curve(turns, turns.count) };
    });
    return [{ title: "Turns of the reader's event loop under the flood", unit: 'ms', series }];
  },
};
