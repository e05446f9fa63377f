import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { percent, shareOf, show, sum, verdict } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { removeCrossing, SIZE } from '../peers/crossings.js';

const script = fileURLToPath(new URL('./roundtrip-process.js', import.meta.url));

const PAUSE_MS = 5;
/** Some fifty trips. */
const RESTED_TURN_MS = 300;
const LATENCY_MS = 2000;
const RESTED_LATENCY_MS = 6000;
const IDLE_SECONDS = 5;

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

export const roundtrip = {
  name: 'roundtrip',
  async run({ folder, cpus, node, probe, options, progress }) {
    const { sides, absent } = await startAll(folder, cpus, node);
    try {
      const tell = (line) => sides.map(({ name, ask }) => ({ name, turn: () => ask(line) }));
      const busy = await takeRounds(tell(`trips ${options.ms} 0`), {
        turns: options.turns,
        probe,
        progress,
      });
      const rested = await takeRounds(tell(`trips ${RESTED_TURN_MS} ${PAUSE_MS}`), {
        turns: options.turns,
        warmUp: 1,
        probe,
        progress,
      });
      const alone = {};
      for (const { name, ask } of sides) {
        alone[name] = {
          busy: await ask(`latency ${LATENCY_MS} 0`),
          rested: await ask(`latency ${RESTED_LATENCY_MS} ${PAUSE_MS}`),
          idle: await ask(`idle ${IDLE_SECONDS}`),
        };
      }
      return {
        size: SIZE,
        absent,
        turnMs: options.ms,
        restedTurnMs: RESTED_TURN_MS,
        pauseMs: PAUSE_MS,
        latencyMs: [LATENCY_MS, RESTED_LATENCY_MS],
        idleSeconds: IDLE_SECONDS,
        alone,
        rounds: busy,
        rested,
      };
    } finally {
      await Promise.all(sides.map(({ end }) => end()));
    }
  },
  lines,
};

async function startAll(folder, cpus, node) {
  const sides = [];
  const absent = {};
  for (const [i, { name, config }] of WAYS.entries()) {
    const address = join(folder, `crossing-${i}`);
    const text = JSON.stringify({ ...config, address, cpus, node });
    const process = new PinnedProcess(cpus[0], globalThis.process.execPath, [...node, script, 'front', text]);
    const ask = async (line) => {
      process.say(line);
      return process.hear(60_000);
    };
    const end = async () => {
      await process.end();
      removeCrossing(address);
    };
    try {
      await process.hear();
      await ask('trips 20 0');
      sides.push({ name, ask, end });
    } catch (error) {
      absent[name] = reason(error);
      await end();
    }
  }
  return { sides, absent };
}

/** The last line that names an error: what is behind those that only pass it on. */
function reason({ message }) {
  return message.match(/^\w*Error.*$/gm)?.at(-1) ?? message.split('\n')[0];
}

function lines({
  size,
  absent,
  turnMs,
  restedTurnMs,
  pauseMs,
  latencyMs,
  idleSeconds,
  alone,
  rounds,
  rested,
}) {
  const names = Object.keys(alone);
  const out = [
    ...Object.entries(absent).map(([name, why]) => `  ${name}: absent, ${why}`),
    `  ${size} bytes there and back, back to back, ${rounds.length} turns of ${turnMs} ms each; us, median (p10..p90)`,
    ...comparison(new Rounds(rounds, ({ us }) => us.mean), names, BARS.busy),
    `  after ${pauseMs} ms of silence each, ${rested.length} turns of ${restedTurnMs} ms each; medians of a turn's trips`,
    ...comparison(new Rounds(rested, ({ us }) => us.p50), names, BARS.rested),
    `  in runs of their own, us: back to back (${latencyMs[0]} ms), after ${pauseMs} ms of silence each (${latencyMs[1]} ms); and the cpu of both ends where nobody says anything for ${idleSeconds} s`,
  ];
  for (const name of names) {
    const { busy, rested: afterRest, idle } = alone[name];
    out.push(
      `    ${name.padEnd(30)} ${tail(busy)}  rested ${tail(afterRest)}` +
        `  idle ${percent(shareOf([idle], 'front'), 2)} + ${percent(shareOf([idle], 'back'), 2)}`,
    );
  }
  return out;
}

function comparison(trips, names, bars) {
  const sent = trips.least(SENT.filter((name) => names.includes(name)));
  const fastest = trips.least([sent, SOCKET.name]);
  return names.map((name) => {
    const own = turnsOf(trips.rounds, name);
    const waited = (end) => percent(shareOf(own, end, 'waitedMs'));
    const ratios = [
      `${show(trips.ratio(name, fastest), 3)} of ${fastest}'s`,
      ...(fastest === SOCKET.name ? [] : [`${show(trips.ratio(name, SOCKET.name), 3)} of the socket's`]),
      ...(fastest === sent ? [] : [`${show(trips.ratio(name, sent), 3)} of ${sent}'s`]),
    ];
    const bar = judge(trips, name, bars[name], fastest);
    return (
      `    ${name.padEnd(30)} ${show(trips.spread(name)).padStart(24)}  ${ratios.join('  ')}${bar}` +
      `  cpu ${percent(shareOf(own, 'front'))}+${percent(shareOf(own, 'back'))}` +
      `, waited for a cpu ${waited('front')}+${waited('back')}, ${sum(own.map((turn) => turn.trips))} trips`
    );
  });
}

function judge(trips, name, bar, fastest) {
  if (bar === undefined) return '';
  const base = bar[0] === 'fastest' ? fastest : bar[0];
  const { median } = trips.ratio(name, base);
  const waited = [name, base].flatMap((one) =>
    ['front', 'back'].map((end) => shareOf(turnsOf(trips.rounds, one), end, 'waitedMs')),
  );
  return verdict(bar[1], median <= bar[1], waited);
}

function turnsOf(rounds, name) {
  return rounds.map(({ facts }) => facts[name]);
}

function tail({ us }) {
  return `p50 ${us.p50.toFixed(1)} p99 ${us.p99.toFixed(1)} p99.9 ${us.p999.toFixed(1)}`;
}
