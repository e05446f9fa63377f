import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { percent, show } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';

const script = fileURLToPath(new URL('./parked-readers-process.js', import.meta.url));

const COUNT = 200;
/** After this all of them sleep again. */
const SILENCE_MS = 50;
const OPENING_TAKES_MS = 60_000;
/** Of a core, for all of them. */
const BAR = 0.01;

const WAYS = [
  { name: `${COUNT} readers of one channel`, config: { how: 'channel', idle: 'park' } },
  { name: `${COUNT} readers of ${COUNT} channels`, config: { how: 'channels', idle: 'park' } },
  { name: `${COUNT} Unix sockets`, config: { how: 'sockets' } },
];

export const parkedReaders = {
  name: 'parked-readers',
  async run({ folder, cpus, node, probe, options, progress }) {
    const sides = [];
    const absent = {};
    try {
      for (const way of WAYS) {
        try {
          sides.push(await start(way, folder, cpus, node));
        } catch (error) {
          absent[way.name] = error.message.match(/^\w*Error.*$/gm)?.at(-1) ?? error.message;
        }
      }
      const idle = {};
      for (const { name, idleFor } of sides) idle[name] = await idleFor(options.seconds);
      const rounds = await takeRounds(sides, { turns: options.turns, probe, progress });
      return { count: COUNT, seconds: options.seconds, silenceMs: SILENCE_MS, absent, idle, rounds };
    } finally {
      await Promise.all(sides.map(({ end }) => end()));
    }
  },
  lines,
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

function lines({ seconds, silenceMs, absent, idle, rounds }) {
  const names = Object.keys(idle);
  const out = [
    ...Object.entries(absent).map(([name, why]) => `  ${name}: absent, ${why}`),
    `  the writer lives and is silent for ${seconds} s; cpu of the readers' process, and of the writer's`,
  ];
  for (const name of names) {
    const { front, back } = idle[name];
    const share = back.cpuMs / back.ms;
    const bar = name.includes('channel') ? `  [bar ${percent(BAR)}: ${share < BAR ? 'met' : 'MISSED'}]` : '';
    out.push(
      `    ${name.padEnd(32)} ${percent(share, 3)}${bar}, ${percent(front.cpuMs / front.ms, 3)}` +
        `  rss ${(back.rssKiB / 1024).toFixed(0)}, ${(front.rssKiB / 1024).toFixed(0)} MiB`,
    );
  }
  out.push(
    `  all of them hear one record each, after ${silenceMs} ms of silence; us since the writer began, ${rounds.length} rounds, median (p10..p90)`,
  );
  const of = (fact) => new Rounds(rounds, (turn) => turn[fact]);
  for (const name of names) {
    const figures = [
      ['first', 'firstUs'],
      ['half of them', 'middleUs'],
      ['all', 'lastUs'],
      ['the writer was busy for', 'tookUs'],
    ];
    out.push(
      `    ${name.padEnd(32)} ${figures.map(([title, fact]) => `${title} ${show(of(fact).spread(name), 0)}`).join('  ')}`,
    );
  }
  return out;
}
