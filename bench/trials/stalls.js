import { fileURLToPath } from 'node:url';
import { PinnedProcess } from '../harness/process.js';

const CAPACITY = 2 ** 30;
const RECORD = 1024;
const MEGABYTES_A_SECOND = 50;
const EVERY_MS = 100;
const LONGEST_SHOWN = 5;
/** Creating three channels of 1 GiB, and bringing them to a slow disk, comes before the measured minute. */
const CREATING_TAKES_MS = 300_000;

const millrace = fileURLToPath(new URL('./stalls-process.js', import.meta.url));

export const stalls = {
  name: 'stalls',
  places: ['disk', 'memory'],
  async run({ folder, memoryFolder, cpus, node, options }) {
    const variants = [
      { name: `disk, sync every ${EVERY_MS} ms`, folder, everyMs: EVERY_MS },
      { name: 'disk, no sync', folder, everyMs: 0 },
      { name: 'memory, no sync', folder: memoryFolder, everyMs: 0 },
    ];
    const summary = [];
    for (const variant of variants) {
      summary.push({ name: variant.name, ...(await measure(variant, cpus, node, options.seconds)) });
    }
    return { capacity: CAPACITY, record: RECORD, megabytesASecond: MEGABYTES_A_SECOND, node, summary };
  },
  lines,
};

async function measure({ folder, everyMs }, cpus, node, seconds) {
  const args = [folder, everyMs, CAPACITY, RECORD, MEGABYTES_A_SECOND].map(String);
  const started = new PinnedProcess(cpus, process.execPath, [...node, millrace, ...args]);
  try {
    await started.hear();
    started.say(`run ${seconds}`);
    return await started.hear(CREATING_TAKES_MS + seconds * 1000);
  } finally {
    await started.end();
  }
}

function lines({ summary, record, megabytesASecond, node }) {
  const flags = node.length > 0 ? `; node ${node.join(' ')}` : '';
  const out = [`  ${record}-byte records at ${megabytesASecond} MB/s; ms${flags}`];
  for (const one of summary) {
    const rate = (one.records * record) / one.seconds / 1e6;
    out.push(
      `    ${one.name}: ${one.seconds.toFixed(0)} s, ${rate.toFixed(1)} MB/s, ${one.syncs} syncs,` +
        ` ${one.channels} channels,` +
        ` cpu ${Math.round(one.cpu * 100)} %, waited ${one.waitedForCpuMs.toFixed(0)} ms for a cpu,` +
        ` ${one.stolenMs} ms stolen from all,` +
        ` heap ${(one.heapBytes / 2 ** 20).toFixed(0)} MiB rss ${(one.rssKiB / 2 ** 10).toFixed(0)} MiB`,
      `      turns of the event loop ${show(one.turns)}  of ${one.turns.count}`,
      `      less waiting for a cpu  ${show(one.turnsWithoutCpuWait)}`,
      `      waits of random events  p99 ${ms(one.waits.p99)}  p99.9 ${ms(one.waits.p999)}` +
        `  p99.99 ${ms(one.waits.p9999)}`,
      `      longest write ${ms(one.longestWriteMs)}; longer than 1 ms: ${one.longWrites} writes,` +
        ` ${one.longTurns} turns;` +
        ` at most ${ms(one.mostBehindMs)} behind`,
      `      the longest turns       ${one.longest.slice(0, LONGEST_SHOWN).map(apart).join(', ')}`,
    );
  }
  return out;
}

function apart({ ms: took, waitedMs }) {
  return `${took.toFixed(1)} (${waitedMs.toFixed(1)} for a cpu)`;
}

function show({ p50, p99, p999, p9999, max }) {
  return `p50 ${ms(p50)}  p99 ${ms(p99)}  p99.9 ${ms(p999)}  p99.99 ${ms(p9999)}  max ${ms(max)}`;
}

function ms(value) {
  return value.toFixed(3);
}
