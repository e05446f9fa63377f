import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { quantile, spread } from '../harness/statistics.js';

const BYTES = 256 * 2 ** 20;
/** Stays in a core's own cache: what the processor does, whatever memory gives. */
const CACHED = 2 ** 18;
const CACHED_PASSES = 100;
const RECORDS = [64, 1024, 16384];
const WARM_UP_PASSES = 3;
/** A pass that got less of its cpu than this shared it with a stranger, and doesn't count. */
const UNDISTURBED_CPU = 0.95;
const MOST_ATTEMPTS = 6;

const millrace = fileURLToPath(new URL('./checksums-process.js', import.meta.url));

export const checksums = {
  name: 'checksums',
  places: ['memory'],
  async run({ memoryFolder, cpus, options }) {
    const started = [];
    // All on one cpu, one after another.
    const start = async (...command) => {
      const process = new PinnedProcess(cpus.split(',')[0], ...command);
      started.push(process);
      await process.hear();
      return process;
    };
    try {
      const path = join(memoryFolder, 'frames');
      const addon = await start(process.execPath, [millrace, memoryFolder, path, String(BYTES)]);
      await ask(addon, 'fill 64');
      const floor = await start(floorProgram('memory'), [path]);
      const summary = [];
      for (const record of RECORDS) summary.push(await measure(addon, floor, record, options.passes));
      return { bytes: BYTES, cached: CACHED, summary };
    } finally {
      await Promise.all(started.map((process) => process.end()));
    }
  },
  lines,
};

async function ask(process, line) {
  process.say(line);
  return process.hear(60_000);
}

async function measure(addon, floor, record, wanted) {
  const { frame } = await ask(addon, `fill ${record}`);
  const ways = {
    'checksums filled in': () => ask(addon, `sum ${BYTES}`),
    'C read': async () => ({ ...(await ask(floor, `read ${BYTES}`)), bytes: BYTES }),
    'C read, a word stored': async () => ({ ...(await ask(floor, `touch ${BYTES} ${frame}`)), bytes: BYTES }),
    'C memcpy': async () => ({ ...(await ask(floor, `copy ${BYTES}`)), bytes: BYTES }),
    'checksums, cached': () => repeated(() => ask(addon, `sum ${CACHED}`)),
  };
  const passes = {};
  for (const [way, pass] of Object.entries(ways)) {
    passes[way] = { counted: [], dropped: 0 };
    for (let i = 0; i < WARM_UP_PASSES; i++) await pass();
  }
  for (let i = 0; i < wanted * MOST_ATTEMPTS; i++) {
    for (const [way, pass] of Object.entries(ways)) {
      const { counted } = passes[way];
      if (counted.length >= wanted) continue;
      const done = await pass();
      if (done.cpuMs < done.ms * UNDISTURBED_CPU) passes[way].dropped++;
      else counted.push((done.payload ?? done.bytes) / done.ms / 1e6);
    }
  }
  return { record, frame, ways: Object.entries(passes).map(([way, seen]) => ({ way, ...condense(seen) })) };
}

/** So short a pass says little about its share of a cpu; the quickest of many is one that had all of it. */
async function repeated(pass) {
  let best;
  for (let i = 0; i < CACHED_PASSES; i++) {
    const done = await pass();
    if (best === undefined || done.ms < best.ms) best = done;
  }
  return { ...best, cpuMs: best.ms };
}

function condense({ counted, dropped }) {
  if (counted.length === 0) return { passes: 0, dropped };
  return {
    passes: counted.length,
    dropped,
    best: quantile(counted, 1),
    gigabytesASecond: spread(counted),
    all: counted,
  };
}

function lines({ summary, bytes, cached }) {
  const out = [
    `  ${bytes / 2 ** 20} MiB a pass (cached: ${cached / 2 ** 10} KiB, the quickest of ${CACHED_PASSES});` +
      ' GB/s of payload, of C: of bytes',
  ];
  for (const { record, ways } of summary) {
    out.push(`    records of ${record} bytes`);
    for (const { way, passes, dropped, best, gigabytesASecond } of ways) {
      out.push(
        passes === 0
          ? `      ${way.padEnd(24)} no pass had its cpu to itself`
          : `      ${way.padEnd(24)} best ${best.toFixed(2)}  median ${show(gigabytesASecond)}` +
              `  ${passes} passes, ${dropped} dropped`,
      );
    }
  }
  return out;
}

function show({ median, p10, p90 }) {
  return `${median.toFixed(2)} (${p10.toFixed(2)}..${p90.toFixed(2)})`;
}
