import { percent, show, sum } from '../harness/figures.js';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';

const TURN_MS = 50;
const LATENCY_MS = 1000;
/** Long enough for both cpus to fall asleep, and for the host to give them to somebody else. */
const REST_US = 2000;
const RESTED_MS = 3000;

const BASE = 'stream';
const WAYS = [
  ['inotify-access', 'inotify, a byte read (IN_ACCESS)'],
  ['inotify-modify', 'inotify, a byte written (IN_MODIFY)'],
  ['fifo', 'FIFO'],
  ['stream', 'Unix stream socket'],
  ['datagram', 'Unix datagram socket'],
  ['futex', 'futex, no epoll'],
  ['futex-eventfd', 'futex thread, eventfd, epoll'],
  ['waitv-eventfd', 'futex_waitv thread (100 words), eventfd, epoll'],
];

export const waking = {
  name: 'waking',
  async run({ folder, cpus, probe, options, progress }) {
    const sides = [];
    try {
      for (const [name, title] of WAYS) {
        const process = new PinnedProcess(cpus.join(','), floorProgram('waking'), [
          name,
          folder,
          ...cpus.map(String),
        ]);
        sides.push({ name, title, process, turn: () => ask(process, `run ${TURN_MS}`) });
        await process.hear();
      }
      const rounds = await takeRounds(sides, { turns: options.turns, probe, progress });
      const alone = {};
      for (const { name, process } of sides) {
        alone[name] = {
          busy: await ask(process, `latency ${LATENCY_MS} 0`),
          rested: await ask(process, `latency ${RESTED_MS} ${REST_US}`),
          busyCost: await ask(process, `cost ${LATENCY_MS} 0`),
          restedCost: await ask(process, `cost ${RESTED_MS} ${REST_US}`),
        };
      }
      return { turnMs: TURN_MS, latencyMs: LATENCY_MS, restUs: REST_US, restedMs: RESTED_MS, alone, rounds };
    } finally {
      await Promise.all(sides.map(({ process }) => process.end()));
    }
  },
  lines,
};

async function ask(process, line) {
  process.say(line);
  return process.hear();
}

function lines({ turnMs, latencyMs, restUs, restedMs, alone, rounds }) {
  const trips = new Rounds(rounds, ({ trips, ms }) => (ms * 1000) / trips);
  const out = [`  round trip, ${rounds.length} turns of ${turnMs} ms each, in rounds; us, median (p10..p90)`];
  for (const [name, title] of WAYS) {
    const own = rounds.map(({ facts }) => facts[name]);
    const share = (end) => percent(sum(own.map(({ cpuMs }) => cpuMs[end])) / sum(own.map(({ ms }) => ms)));
    out.push(
      `    ${title.padEnd(48)} ${show(trips.spread(name)).padStart(22)}  ` +
        `${show(trips.ratio(name, BASE)).padStart(18)} x the stream socket's  cpu ${share(0)}+${share(1)}` +
        `  ${sum(own.map((turn) => turn.trips))} trips, ${sum(own.map((turn) => turn.inVain))} woken in vain`,
    );
  }
  out.push(
    `  in runs of their own, us: back to back (${latencyMs} ms), and after ${restUs / 1000} ms of sleep each (${restedMs} ms)`,
  );
  for (const [name, title] of WAYS) {
    const { busy, rested, busyCost, restedCost } = alone[name];
    out.push(
      `    ${title.padEnd(48)} trip ${tail(busy)}  rested ${tail(rested)}` +
        `  the call that wakes ${tail(busyCost)}  rested ${tail(restedCost)}`,
    );
  }
  return out;
}

function tail({ us }) {
  return `p50 ${us.p50.toFixed(1)} p99 ${us.p99.toFixed(1)}`;
}
