import { curve, figure, reason, share, sum } from '../harness/figures.js';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { parts } from '../harness/progress.js';
import { Rounds, takeRounds } from '../harness/rounds.js';

/** Long enough for both cpus to fall asleep, and for the host to give them to somebody else. */
const REST_US = 2000;

const BASE = 'stream';
/** From Linux 5.16 on. */
const WAITV = 'waitv-eventfd';
const WAYS = [
  ['inotify-access', 'inotify, a byte read (IN_ACCESS)'],
  ['inotify-modify', 'inotify, a byte written (IN_MODIFY)'],
  ['fifo', 'FIFO'],
  ['stream', 'Unix stream socket'],
  ['datagram', 'Unix datagram socket'],
  ['futex', 'futex, no epoll'],
  ['futex-eventfd', 'futex thread, eventfd, epoll'],
  [WAITV, 'futex_waitv thread (100 words), eventfd, epoll'],
];

const BUSY = 'back to back';

export const waking = {
  name: 'waking',
  title: 'Ways of waking another process',
  about: `Two C programs that share a mapped file; a message is a number stored there, and a way of waking only says
that it is there. Nobody looks without sleeping first, so each message wakes somebody; only a thread that waits for
100 words is not done with going to sleep when the next message comes back to back, so that most calls find it awake. Those
with an epoll do what an event loop does: sleep in \`epoll_wait\`, then read empty what rang. *Rested*: both slept
${REST_US / 1000} ms before each trip, so that their cpus were idle. The call that wakes is timed alone, while the other
one sleeps.`,
  quick: { turns: 4, ms: 50, latencyMs: 150, restedMs: 200 },
  full: { turns: 20, ms: 50, latencyMs: 1000, restedMs: 3000 },

  async run({ folder, cpus, probe, options: { turns, ms, latencyMs, restedMs }, progress }) {
    const sides = [];
    const absent = {};
    const [inRounds, alone] = parts(progress, [turns * ms, 2 * (latencyMs + restedMs)]);
    try {
      for (const [name] of WAYS) {
        const args = [name, folder, ...cpus.map(String)];
        const process = new PinnedProcess(cpus.join(','), floorProgram('waking'), args);
        try {
          await process.hear();
          sides.push({ name, process, turn: () => ask(process, `run ${ms}`) });
        } catch (error) {
          await process.end();
          if (name !== WAITV) throw error;
          absent[name] = reason(error);
        }
      }
      const rounds = await takeRounds(sides, { turns, probe, progress: inRounds });
      const latencies = {};
      for (const [i, { name, process }] of sides.entries()) {
        latencies[name] = {
          busy: await ask(process, `latency ${latencyMs} 0`),
          rested: await ask(process, `latency ${restedMs} ${REST_US}`),
          busyCost: await ask(process, `cost ${latencyMs} 0`),
          restedCost: await ask(process, `cost ${restedMs} ${REST_US}`),
        };
        alone(i + 1, sides.length);
      }
      return { restUs: REST_US, absent, alone: latencies, rounds };
    } finally {
      await Promise.all(sides.map(({ process }) => process.end()));
    }
  },

  rows({ absent, alone, rounds }) {
    const trips = new Rounds(rounds, (turn) => (turn.ms * 1000) / turn.trips);
    const busy = ([name, title]) => {
      const own = trips.turns(name);
      const cpu = (end) => sum(own.map(({ cpuMs }) => cpuMs[end])) / sum(own.map((turn) => turn.ms));
      return {
        group: BUSY,
        name: title,
        figures: {
          'round trip': { unit: 'us', ...trips.spread(name) },
          p99: figure('us', alone[name].busy.us.p99),
          ...(name !== WAITV && { 'the call that wakes': figure('us', alone[name].busyCost.us.p50) }),
          'cpu of one': share(cpu(0)),
          'and the other': share(cpu(1)),
        },
        ratio: { to: 'stream socket', what: 'time', ...trips.ratio(name, BASE) },
        samples: sum(own.map((turn) => turn.trips)),
        note: name === WAITV ? 'mostly found awake' : undefined,
      };
    };
    const rested = ([name, title]) => ({
      group: `after ${REST_US / 1000} ms of sleep`,
      name: title,
      figures: {
        'round trip, p50': figure('us', alone[name].rested.us.p50),
        p99: figure('us', alone[name].rested.us.p99),
        'the call that wakes': figure('us', alone[name].restedCost.us.p50),
      },
      samples: alone[name].rested.trips,
    });
    const present = WAYS.filter(([name]) => alone[name] !== undefined);
    return [
      ...present.map(busy),
      ...WAYS.flatMap(([name, title]) =>
        absent[name] === undefined ? [] : [{ group: BUSY, name: title, absent: absent[name] }],
      ),
      ...present.map(rested),
    ];
  },

  distributions({ alone }) {
    const series = (which) =>
      WAYS.filter(([name]) => alone[name] !== undefined).map(([name, title]) => ({
        name: title,
        quantiles: curve(alone[name][which].us, alone[name][which].trips),
      }));
    return [
      { title: 'Round trips back to back', unit: 'us', series: series('busy') },
      { title: 'Round trips after both slept', unit: 'us', series: series('rested') },
    ];
  },
};

async function ask(process, line) {
  process.say(line);
  return process.hear();
}
