import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { spread } from '../harness/statistics.js';

const CAPACITY = 64 * 2 ** 20;
const RECORD = 100;
const WARM_UP_ROUNDS = 3;
const LATENCY_MS = 5000;
/** Between two turns, so that what the disk does behind a sync is not the next one's. */
const PAUSE_MS = 10;

const millrace = fileURLToPath(new URL('./commits-process.js', import.meta.url));

/**
 * One waiter and sixteen stand next to each other: the disk's pace drifts within seconds, and their ratio is
 * what counts.
 */
const WAITERS = [1, 16, 4, 64];

export const commits = {
  name: 'commits',
  places: ['disk'],
  async run({ folder, cpus, options }) {
    const started = [];
    const start = async (...command) => {
      const process = new PinnedProcess(cpus, ...command);
      started.push(process);
      await process.hear();
      return process;
    };
    try {
      const floors = [];
      for (const what of ['frame', 'frame-and-header']) {
        const args = [join(folder, `floor-${what}`), String(CAPACITY), String(RECORD), what];
        const process = await start(floorProgram('commits'), args);
        floors.push(side(`C ${what}`, process, (ms) => `run ${ms}`));
      }
      const channel = await start(process.execPath, [millrace, folder, String(CAPACITY), String(RECORD)]);
      const waiters = WAITERS.map((count) => ({
        ...side(`millrace ${count}`, channel, (ms) => `commit ${ms} ${count}`),
        latency: (ms) => `latency ${ms} ${count}`,
      }));
      return await measure([...floors, ...waiters], options);
    } finally {
      await Promise.all(started.map((process) => process.end()));
    }
  },
  lines,
};

function side(name, process, command) {
  return { name, process, turn: command, latency: command };
}

async function ask({ process }, line) {
  process.say(line);
  return process.hear(60_000);
}

async function measure(sides, { turns, ms }) {
  const rounds = [];
  for (let round = -WARM_UP_ROUNDS; round < turns; round++) {
    const facts = {};
    // There and back again, so that nobody always comes behind the same one.
    for (const one of round % 2 === 0 ? sides : sides.toReversed()) {
      facts[one.name] = await ask(one, one.turn(ms));
      await setTimeout(PAUSE_MS);
    }
    if (round >= 0) rounds.push(facts);
  }
  const latencies = {};
  for (const one of sides) latencies[one.name] = await ask(one, one.latency(LATENCY_MS));
  const names = sides.map(({ name }) => name);
  return {
    capacity: CAPACITY,
    record: RECORD,
    latencyMs: LATENCY_MS,
    summary: names.map((name) => summarize(name, rounds, latencies[name])),
    rounds,
  };
}

const BASE = 'millrace 1';

function summarize(name, rounds, latency) {
  const own = rounds.map((facts) => facts[name]);
  const sum = (turns, fact) => turns.reduce((total, turn) => total + (turn[fact] ?? 0), 0);
  const rate = (turn) => (turn.commits / turn.ms) * 1000;
  const base = rounds.map((facts) => facts[BASE]);
  const overall = (turns) => sum(turns, 'commits') / sum(turns, 'ms');
  const syncs = sum(own, 'syncs');
  return {
    name,
    perSecond: spread(own.map(rate)),
    ratio: spread(rounds.map((facts) => rate(facts[name]) / rate(facts[BASE]))),
    ratioOfSums: overall(own) / overall(base),
    recordsASync: syncs > 0 ? sum(own, 'commits') / syncs : 1,
    commits: sum(own, 'commits'),
    cpu: sum(own, 'cpuMs') / sum(own, 'ms'),
    waitedForCpu: sum(own, 'waitedMs') / sum(own, 'ms'),
    heapMiB: own.at(-1).heapBytes === undefined ? null : own.at(-1).heapBytes / 2 ** 20,
    rssMiB: own.at(-1).rssKiB / 2 ** 10,
    latency,
  };
}

function lines({ summary, rounds, record, capacity, latencyMs }) {
  const out = [
    `  ${record}-byte records, channel of ${capacity / 2 ** 20} MiB, ${rounds.length} turns each,` +
      ' in rounds; median (p10..p90)',
  ];
  for (const one of summary) {
    const { median, p10, p90 } = one.ratio;
    out.push(
      `    ${one.name.padEnd(18)} ${show(one.perSecond, 0).padStart(24)} commits/s` +
        `  ${show({ median, p10, p90 }, 2).padStart(20)} x 1 waiter, of sums ${one.ratioOfSums.toFixed(2)}` +
        `  ${one.recordsASync.toFixed(1)} records/sync  cpu ${percent(one.cpu)},` +
        ` waited for a cpu ${percent(one.waitedForCpu)}` +
        `  ${one.heapMiB === null ? '' : `heap ${one.heapMiB.toFixed(0)} MiB `}` +
        `rss ${one.rssMiB.toFixed(0)} MiB` +
        `  ${one.commits} commits`,
    );
  }
  out.push(`  latency of a commit, in runs of their own of ${latencyMs} ms, or until the channel is full`);
  for (const { name, latency } of summary) {
    const { p50, p99, p999, max } = latency.us;
    const figures = [p50, p99, p999, max].map((us) => `${us.toFixed(0)}`.padStart(7));
    out.push(
      `    ${name.padEnd(18)} p50 ${figures[0]}  p99 ${figures[1]}  p99.9 ${figures[2]}` +
        `  max ${figures[3]} us` +
        `  of ${latency.commits} commits`,
    );
  }
  return out;
}

function show({ median, p10, p90 }, digits) {
  return `${median.toFixed(digits)} (${p10.toFixed(digits)}..${p90.toFixed(digits)})`;
}

function percent(share) {
  return `${Math.round(share * 100)} %`;
}
