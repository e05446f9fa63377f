import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { barOf, figure, percent, share, waitedShares } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { parts } from '../harness/progress.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { SIZE } from '../peers/crossings.js';

const script = fileURLToPath(new URL('./parked-readers-process.js', import.meta.url));

const COUNT = 200;
/** After this all of them sleep again. */
const SILENCE_MS = 50;
const OPENING_TAKES_MS = 60_000;
/**
 * V8 collects what the beginning left behind once a process has had nothing to do for some eight seconds, in two or three
 * rounds: up to a hundred milliseconds of cpu that come once, and not of the readers.
 */
const SETTLING_MS = 12_000;
/** Of a core, for all of them. */
const BAR = 0.01;

const WAYS = [
  { name: `${COUNT} readers of one channel`, config: { how: 'channel', idle: 'park' } },
  { name: `${COUNT} readers of ${COUNT} channels`, config: { how: 'channels', idle: 'park' } },
  { name: `${COUNT} Unix sockets`, config: { how: 'sockets' } },
];

const SILENT = 'while the writer is silent';
const READERS_CPU = "cpu of the readers' process";
const HEARING = `each hears a record, after ${SILENCE_MS} ms of silence`;
const FIGURES = {
  first: 'firstUs',
  'half of them': 'middleUs',
  all: 'lastUs',
  'the writer was busy for': 'tookUs',
};

export const parkedReaders = {
  name: 'parked-readers',
  title: `${COUNT} parked readers`,
  about: `One process with ${COUNT} readers that iterate with \`idle: 'park'\`: of one channel, and of ${COUNT}. Their
writers are in another process, alive and silent, from ${SETTLING_MS / 1000} s after the
beginning on: by then V8 has collected what that left behind. After that time each hears a record, ${SILENCE_MS} ms after the last
one: the writer writes it (to ${COUNT} channels one after the other), and each reader notes when its loop has it; times are
from before the writer's first record. For comparison ${COUNT} Unix sockets between two processes.`,
  quick: { turns: 5, seconds: 2 },
  full: { turns: 20, seconds: 10 },

  async run({ folder, cpus, node, probe, options: { turns, seconds }, progress, signal }) {
    const [inSilence, inRounds] = parts(progress, [seconds + SETTLING_MS / 3000, turns / 10]);
    const sides = [];
    try {
      for (const way of WAYS) sides.push(await start(way, folder, cpus, node));
      await setTimeout(SETTLING_MS, undefined, { signal });
      const idle = {};
      for (const [i, { name, idleFor }] of sides.entries()) {
        idle[name] = await idleFor(seconds);
        inSilence(i + 1, sides.length);
      }
      const rounds = await takeRounds(sides, { turns, probe, progress: inRounds });
      return { size: SIZE, batch: 1, count: COUNT, seconds, idle, rounds };
    } finally {
      await Promise.all(sides.map(({ end }) => end()));
    }
  },

  rows({ idle, rounds }) {
    const names = Object.keys(idle);
    const of = (fact) => new Rounds(rounds, (turn) => turn[fact]);
    const silent = (name) => {
      const { front, back } = idle[name];
      const used = back.cpuMs / back.ms;
      return {
        group: SILENT,
        name,
        figures: {
          [READERS_CPU]: share(used),
          "the writer's": share(front.cpuMs / front.ms),
          "readers' rss": figure('KiB', back.rssKiB),
          "writer's rss": figure('KiB', front.rssKiB),
        },
        bar: name.includes('channel')
          ? barOf(`at most ${percent(BAR)} of a cpu`, used <= BAR, {
              waited: waitedShares([idle[name]]),
              of: READERS_CPU,
            })
          : undefined,
      };
    };
    const hearing = (name) => ({
      group: HEARING,
      name,
      figures: Object.fromEntries(
        Object.entries(FIGURES).map(([title, fact]) => [title, { unit: 'us', ...of(fact).spread(name) }]),
      ),
      samples: rounds.length,
    });
    return [...names.map(silent), ...names.map(hearing)];
  },
};

async function start({ name, config }, folder, cpus, node) {
  const address = join(folder, `parked-${config.how}`);
  const text = JSON.stringify({ ...config, address, count: COUNT });
  const started = [];
  const end = async () => {
    await Promise.all(started.map((process) => process.end()));
    rmSync(address, { force: true });
    for (let i = 0; i < COUNT; i++) rmSync(`${address}-${i}`, { force: true });
  };
  try {
    for (const [i, role] of ['writer', 'readers'].entries()) {
      started.push(new PinnedProcess(cpus[i], process.execPath, [...node, script, role, text]));
      await started[i].hear(OPENING_TAKES_MS);
    }
  } catch (error) {
    await end();
    throw error;
  }
  const [writer, readers] = started;
  return {
    name,
    end,
    async turn() {
      readers.say('hear');
      await setTimeout(SILENCE_MS);
      writer.say('tell');
      const [told, heard] = await Promise.all([writer.hear(), readers.hear()]);
      const us = (ns) => (ns - told.startNs) / 1000;
      return {
        tookUs: told.tookUs,
        firstUs: us(heard.firstNs),
        middleUs: us(heard.middleNs),
        lastUs: us(heard.lastNs),
      };
    },
    async idleFor(seconds) {
      for (const process of started) process.say(`idle ${seconds}`);
      const ms = seconds * 1000 + OPENING_TAKES_MS;
      const [front, back] = await Promise.all(started.map((process) => process.hear(ms)));
      return { front, back };
    },
  };
}
