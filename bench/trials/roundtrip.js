import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOfTrips, cpuFigures, curve, figure, share, shareOf, sum } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { parts } from '../harness/progress.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { removeCrossing, SIZE } from '../peers/crossings.js';

const script = fileURLToPath(new URL('./roundtrip-process.js', import.meta.url));

const PAUSE_MS = 5;

const send = (serialization, form) => ({
  name: `process.send, ${serialization}, ${form}`,
  config: { crossing: 'process.send', serialization, form },
});
const SENDS = [send('json', 'text'), send('advanced', 'text'), send('advanced', 'bytes')];
const SOCKET = { name: 'Unix socket', config: { crossing: 'socket' } };
const channels = (idle) => ({ name: `millrace ${idle}`, config: { crossing: 'millrace', idle } });
const blocking = (idle) => ({
  name: `millrace waitSync ${idle}`,
  config: { crossing: 'millrace', idle, blocks: true },
});

const WAYS = [
  ...SENDS,
  SOCKET,
  ...['adaptive', 'spin', 'yield', 'park'].map(channels),
  ...['adaptive', 'park'].map(blocking),
];
const SENT = SENDS.map(({ name }) => name);

/** Against whom, and how much of their time at most. */
const BARS = {
  busy: { 'millrace adaptive': ['fastest', 0.1], 'millrace waitSync adaptive': [SOCKET.name, 0.5] },
  rested: { 'millrace park': [SOCKET.name, 1], 'millrace waitSync park': [SOCKET.name, 0.5] },
};

const BUSY = 'back to back';
const RESTED = `after ${PAUSE_MS} ms of silence`;
const IDLE = 'nobody says anything';

export const roundtrip = {
  name: 'roundtrip',
  title: 'Round trips between event loops',
  about: `${SIZE} bytes there and back between two processes, of which each goes on with its event loop; Millrace over
two channels, each end \`for await (const { data } of reader)\` and \`writer.write(bytes)\`. *Back to back*: the answer
is the signal for the next. *After silence*: each message comes ${PAUSE_MS} ms after the last answer, when both sleep; the
median of a turn's trips is what is compared. With \`waitSync\` both threads block, and the pause is a blocked thread,
too. Times one by one, and so p99, are from runs of their own. A process that is pinned to one cpu never spins with
\`adaptive\`.`,
  quick: { turns: 3, ms: 40, restedMs: 100, latencyMs: 200, restedLatencyMs: 300, idleSeconds: 0.3 },
  full: { turns: 20, ms: 80, restedMs: 300, latencyMs: 2000, restedLatencyMs: 6000, idleSeconds: 5 },

  async run({ folder, cpus, node, probe, options, progress }) {
    const { turns, ms, restedMs, latencyMs, restedLatencyMs, idleSeconds } = options;
    const aloneMs = latencyMs + restedLatencyMs + idleSeconds * 1000;
    const [inBusy, inRested, inAlone] = parts(progress, [turns * ms, turns * restedMs, aloneMs]);
    const sides = [];
    try {
      for (const [i, { name, config }] of WAYS.entries()) sides.push(await start(i, name, config));
      const tell = (line) => sides.map(({ name, ask }) => ({ name, turn: () => ask(line) }));
      const rounds = await takeRounds(tell(`trips ${ms} 0`), { turns, probe, progress: inBusy });
      const rested = await takeRounds(tell(`trips ${restedMs} ${PAUSE_MS}`), {
        turns,
        warmUp: 1,
        probe,
        progress: inRested,
      });
      const alone = {};
      for (const [i, { name, ask }] of sides.entries()) {
        alone[name] = {
          busy: await ask(`latency ${latencyMs} 0`),
          rested: await ask(`latency ${restedLatencyMs} ${PAUSE_MS}`),
          idle: await ask(`idle ${idleSeconds}`),
        };
        inAlone(i + 1, sides.length);
      }
      return { size: SIZE, batch: 1, pauseMs: PAUSE_MS, alone, rounds, rested };
    } finally {
      await Promise.all(sides.map(({ end }) => end()));
    }

    async function start(i, name, config) {
      const address = join(folder, `crossing-${i}`);
      const text = JSON.stringify({ ...config, address, cpus, node });
      const front = new PinnedProcess(cpus[0], process.execPath, [...node, script, 'front', text]);
      const ask = async (line) => {
        front.say(line);
        return front.hear(60_000);
      };
      const end = async () => {
        await front.end();
        removeCrossing(address);
      };
      try {
        await front.hear();
        await ask('trips 20 0');
      } catch (error) {
        await end();
        throw error;
      }
      return { name, ask, end };
    }
  },

  rows({ alone, rounds, rested }) {
    const names = Object.keys(alone);
    return [
      ...compared(BUSY, names, new Rounds(rounds, ({ us }) => us.mean), alone, BARS.busy),
      ...compared(RESTED, names, new Rounds(rested, ({ us }) => us.p50), alone, BARS.rested),
      ...names.map((name) => ({
        group: IDLE,
        name,
        figures: {
          'cpu of the front': share(shareOf([alone[name].idle], 'front')),
          'cpu of the back': share(shareOf([alone[name].idle], 'back')),
        },
      })),
    ];
  },

  distributions({ alone }) {
    const series = (which) =>
      Object.entries(alone).map(([name, { [which]: own }]) => ({
        name,
        quantiles: curve(own.us, own.trips),
      }));
    return [
      { title: 'Round trips back to back', unit: 'us', series: series('busy') },
      { title: `Round trips after ${PAUSE_MS} ms of silence`, unit: 'us', series: series('rested') },
    ];
  },
};

function compared(group, names, trips, alone, bars) {
  const fastest = trips.least([...SENT, SOCKET.name]);
  const which = group === BUSY ? 'busy' : 'rested';
  return names.map((name) => {
    const bar = bars[name];
    const base = bar === undefined || bar[0] === 'fastest' ? fastest : bar[0];
    const ratio = trips.ratio(name, base);
    const own = trips.turns(name);
    return {
      group,
      name,
      figures: {
        'round trip': { unit: 'us', ...trips.spread(name) },
        p99: figure('us', alone[name][which].us.p99),
        ...cpuFigures(own),
      },
      ratio: { to: base, what: 'time', ...ratio },
      bar:
        bar &&
        barOfTrips(`at most ${bar[1]} of ${base}'s time`, ratio.median, bar[1], {
          ours: own,
          other: trips.turns(base),
          areMeans: group === BUSY,
        }),
      samples: sum(own.map((turn) => turn.trips)),
    };
  });
}
