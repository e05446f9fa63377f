import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { percent, shareOf, show, sum, verdict } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { removeCrossing, SIZE } from '../peers/crossings.js';

const script = fileURLToPath(new URL('./flood-process.js', import.meta.url));

const CAPACITY = '8MiB';
/** process.send gets time instead of a number of records, of which it would need minutes. */
const SEND_MS = 400;
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

export const flood = {
  name: 'flood',
  async run({ folder, cpus, node, probe, options, progress }) {
    const sides = [];
    try {
      for (const [i, { name, config }] of WAYS.entries()) sides.push(await start(i, name, config));
      const each = Math.ceil(options.records / options.turns);
      const rounds = await takeRounds(
        sides.map(({ name, isSend, ask }) => ({
          name,
          turn: () => ask(isSend ? `run ${PLENTY} ${SEND_MS}` : `run ${each} ${PATIENCE_MS}`),
        })),
        { turns: options.turns, warmUp: 2, probe, progress },
      );
      const alone = {};
      for (const { name, ask } of sides) alone[name] = await ask(`held ${PLENTY} ${options.seconds * 1000}`);
      return {
        size: SIZE,
        capacity: CAPACITY,
        records: options.records,
        seconds: options.seconds,
        alone,
        rounds,
      };
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
  lines,
};

function lines({ size, capacity, records, seconds, alone, rounds }) {
  const rates = new Rounds(rounds, ({ perSecond }) => perSecond);
  const base = rates.greatest(SENT);
  const out = [
    `  ${size}-byte records, ring of ${capacity}; ${rounds.length} turns each, of ${Math.ceil(records / rounds.length)} records, of ${SEND_MS} ms for process.send; thousands a second, median (p10..p90)`,
  ];
  const waited = (turns) => ['front', 'back'].map((end) => shareOf(turns, end, 'waitedMs'));
  for (const { name } of WAYS) {
    const own = turnsOf(rounds, name);
    const { median, p10, p90 } = rates.spread(name);
    const ratio = rates.ratio(name, base);
    const bar = BARS[name];
    const last = own.at(-1).back;
    out.push(
      `    ${name.padEnd(38)} ${show({ median: median / 1e3, p10: p10 / 1e3, p90: p90 / 1e3 }, 0).padStart(22)}` +
        `  ${show(ratio, 1).padStart(20)} x ${base}` +
        (bar ? verdict(bar, ratio.median >= bar, [...waited(own), ...waited(turnsOf(rounds, base))]) : '') +
        `  cpu ${percent(shareOf(own, 'front'))}+${percent(shareOf(own, 'back'))}` +
        `, waited for a cpu ${percent(shareOf(own, 'front', 'waitedMs'))}+${percent(shareOf(own, 'back', 'waitedMs'))}` +
        `, reader's heap ${mebi(last.heapBytes)} rss ${mebi(last.rssKiB * 1024)} MiB` +
        `, ${sum(own.map((turn) => turn.records))} records`,
    );
  }
  out.push(
    `  the reader's event loop, in runs of their own of ${seconds} s; ms between turns, and waits of random events`,
  );
  for (const { name } of WAYS) {
    const { back, records: read } = alone[name];
    const { turns, monitor, waits } = back.held;
    const bar = name.startsWith('millrace')
      ? verdict(`p99.99 ${HELD_MS} ms`, turns.p9999 <= HELD_MS, waited([alone[name]]))
      : '';
    out.push(
      `    ${name.padEnd(38)} p50 ${ms(turns.p50)} p99 ${ms(turns.p99)} p99.9 ${ms(turns.p999)}` +
        ` p99.99 ${ms(turns.p9999)} max ${ms(turns.max)}${bar}  waits p99.9 ${ms(waits.p999)} p99.99 ${ms(waits.p9999)}` +
        `  monitor p99.99 ${ms(monitor.p9999)} max ${ms(monitor.max)}` +
        `  of ${turns.count} turns, ${read} records, waited ${back.waitedMs.toFixed(0)} ms for a cpu`,
    );
  }
  return out;
}

function turnsOf(rounds, name) {
  return rounds.map(({ facts }) => facts[name]);
}

function mebi(bytes) {
  return (bytes / 2 ** 20).toFixed(0);
}

function ms(value) {
  return value.toFixed(3);
}
