import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { curve, figure, share, sum } from '../harness/figures.js';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { parts } from '../harness/progress.js';
import { Rounds, takeRounds } from '../harness/rounds.js';

const CAPACITY = 64 * 2 ** 20;
const RECORD = 100;

const millrace = fileURLToPath(new URL('./commits-process.js', import.meta.url));

/**
 * One waiter and sixteen stand next to each other: the disk's pace drifts within seconds, and their ratio is
 * what counts.
 */
const WAITERS = [1, 16, 4, 64];
const titleOf = (count) => `${count} ${count === 1 ? 'waiter' : 'waiters'}`;
const BASE = titleOf(1);

export const commits = {
  name: 'commits',
  title: 'Commits that wait for the disk',
  about: `${RECORD}-byte records into a linear channel of ${CAPACITY / 2 ** 20} MiB with \`sync: 'commit'\`; a waiter is a
loop of \`await writer.send(record)\`. ${WAITERS.join(', ')} of them take turns on one channel in one process. A channel
that gets full is exchanged between turns. Three C programs take turns with them: they copy the same bytes into a mapped
file of the same size and call \`fdatasync\`, one by one. With *frame* each commit makes one page dirty, the least there
can be; with *frame and header* also the first page, as a channel does; *by a thread* is that again, and another thread calls
\`fdatasync\` while the first one sleeps in \`epoll_wait\`: the least that an event loop pays that is not held by the disk.
Latencies come from runs of their own.`,
  quick: { turns: 5, ms: 100, latencyMs: 500 },
  full: { turns: 40, ms: 200, latencyMs: 5000 },

  async run({ disk, cpus, options: { turns, ms, latencyMs }, progress }) {
    const [inRounds, inAlone] = parts(progress, [turns * ms, latencyMs]);
    const started = [];
    const start = async (...command) => {
      const process = new PinnedProcess(cpus.join(','), ...command);
      started.push(process);
      await process.hear();
      return process;
    };
    try {
      const floors = [];
      for (const what of ['frame', 'frame-and-header', 'by-a-thread']) {
        const args = [join(disk, `floor-${what}`), String(CAPACITY), String(RECORD), what];
        const process = await start(floorProgram('commits'), args);
        floors.push(side(`C, ${what.replaceAll('-', ' ')}`, process, `run ${ms}`, `run ${latencyMs}`));
      }
      const channel = await start(process.execPath, [millrace, disk, String(CAPACITY), String(RECORD)]);
      const waiters = WAITERS.map((count) =>
        side(titleOf(count), channel, `commit ${ms} ${count}`, `latency ${latencyMs} ${count}`),
      );
      const sides = [...floors, ...waiters];
      const rounds = await takeRounds(sides, { turns, progress: inRounds });
      const alone = {};
      for (const [i, { name, latency }] of sides.entries()) {
        alone[name] = await latency();
        inAlone(i + 1, sides.length);
      }
      return { size: RECORD, batch: 1, capacity: CAPACITY, alone, rounds };
    } finally {
      await Promise.all(started.map((process) => process.end()));
    }
  },

  rows({ alone, rounds }) {
    const rates = new Rounds(rounds, (turn) => (turn.commits / turn.ms) * 1000);
    const names = Object.keys(alone);
    const overall = (turns) => total(turns, 'commits') / total(turns, 'ms');
    const rate = (name) => {
      const own = rates.turns(name);
      const syncs = total(own, 'syncs');
      return {
        group: 'the rate',
        name,
        figures: {
          commits: { unit: '/s', ...rates.spread(name) },
          'records a sync': figure('', syncs > 0 ? total(own, 'commits') / syncs : 1),
          cpu: share(total(own, 'cpuMs') / total(own, 'ms')),
          'without a cpu': share(total(own, 'waitedMs') / total(own, 'ms')),
        },
        ratio: { to: BASE, what: 'rate', ...rates.ratio(name, BASE) },
        samples: total(own, 'commits'),
        note: `of sums ${(overall(own) / overall(rates.turns(BASE))).toFixed(2)} times`,
      };
    };
    const latency = (name) => {
      const { us, commits } = alone[name];
      return {
        group: 'how long one takes',
        name,
        figures: Object.fromEntries(
          [
            ['p50', us.p50],
            ['p99', us.p99],
            ['p99.9', us.p999],
            ['max', us.max],
          ].map(([title, value]) => [title, figure('us', value)]),
        ),
        samples: commits,
      };
    };
    return [...names.map(rate), ...names.map(latency)];
  },

  distributions({ alone }) {
    const series = Object.entries(alone).map(([name, { us, commits }]) => ({
      name,
      quantiles: curve(us, commits),
    }));
    return [{ title: 'How long a commit takes', unit: 'us', series }];
  },
};

function side(name, process, turn, latency) {
  const ask = (line) => async () => {
    process.say(line);
    return process.hear(60_000);
  };
  return { name, turn: ask(turn), latency: ask(latency) };
}

function total(turns, fact) {
  return sum(turns.map((turn) => turn[fact] ?? 0));
}
