import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figure } from '../harness/figures.js';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { parts } from '../harness/progress.js';
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

const FILLED = 'checksums filled in';

export const checksums = {
  name: 'checksums',
  title: 'Filling in checksums',
  about: `One pass over ${BYTES / 2 ** 20} MiB of frames in memory, as before a sync: each frame's CRC32C is computed and
stored; rates are of payload. The C program reads the same bytes, reads them and stores a word in each frame, and copies
them; rates are of bytes. All are pinned to one cpu and take turns; a pass that got less than ${UNDISTURBED_CPU * 100} % of
its cpu doesn't count. *Cached* is the quickest of ${CACHED_PASSES} passes over ${CACHED / 2 ** 10} KiB, where memory is no
limit.`,
  quick: { passes: 5 },
  full: { passes: 30 },

  async run({ folder, cpus, options: { passes }, progress }) {
    const started = [];
    // All on one cpu, one after another.
    const start = async (...command) => {
      const process = new PinnedProcess(cpus[0], ...command);
      started.push(process);
      await process.hear();
      return process;
    };
    try {
      const path = join(folder, 'frames');
      const addon = await start(process.execPath, [millrace, folder, path, String(BYTES)]);
      await ask(addon, 'fill 64');
      const floor = await start(floorProgram('memory'), [path]);
      const summary = [];
      const each = parts(
        progress,
        RECORDS.map(() => 1),
      );
      for (const [i, record] of RECORDS.entries()) {
        summary.push(await measure(addon, floor, record, passes, each[i]));
      }
      return { sizes: RECORDS, batch: 1, bytes: BYTES, cached: CACHED, summary };
    } finally {
      await Promise.all(started.map((process) => process.end()));
    }
  },

  rows({ summary }) {
    return summary.flatMap(({ record, ways }) =>
      ways.map(({ way, passes, dropped, best, gigabytesASecond }) => ({
        group: `records of ${record} bytes`,
        name: way,
        ...(passes === 0
          ? { absent: 'no pass had its cpu to itself' }
          : {
              figures: {
                rate: { unit: 'GB/s', ...gigabytesASecond },
                best: figure('GB/s', best),
              },
              samples: passes,
              note: dropped > 0 ? `${dropped} passes dropped` : undefined,
            }),
      })),
    );
  },
};

async function ask(process, line) {
  process.say(line);
  return process.hear(60_000);
}

async function measure(addon, floor, record, wanted, progress) {
  const { frame } = await ask(addon, `fill ${record}`);
  const ways = {
    [FILLED]: () => ask(addon, `sum ${BYTES}`),
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
    progress(Math.min(...Object.values(passes).map(({ counted }) => counted.length)), wanted);
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
