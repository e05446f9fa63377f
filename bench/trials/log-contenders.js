import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOfRates, share, sum } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';

const script = fileURLToPath(new URL('./log-store-process.js', import.meta.url));
const ANSWERS_WITHIN_MS = 60_000;

export const LOG = 'Millrace log';
export const SQLITE = 'better-sqlite3';
export const LMDB = 'lmdb';
export const FILE = 'a file, appended to';
export const STORES = { [LOG]: 'log', [SQLITE]: 'sqlite', [LMDB]: 'lmdb', [FILE]: 'file' };
export const EMBEDDED = [SQLITE, LMDB];

/** For contests (harness/contest.js): a process with a store of its own, which is told `line(ms)` each turn. */
export function storeContender(name, line, config, { folder, cpus, node }) {
  const start = async () => {
    const own = join(folder, name.replaceAll(/\W+/g, '-'));
    mkdirSync(own);
    const args = [...node, script, JSON.stringify({ ...config, folder: own })];
    // Others write by a thread of their own, and so does a log prepare its next segment.
    const process = new PinnedProcess(cpus.join(','), globalThis.process.execPath, args);
    try {
      await process.hear(ANSWERS_WITHIN_MS); // ready
    } catch (error) {
      await process.end();
      throw error;
    }
    return {
      turn: async (ms) => {
        process.say(line(ms));
        return process.hear(ms + ANSWERS_WITHIN_MS);
      },
      end: () => process.end(),
    };
  };
  return { name, start, mayBeAbsent: EMBEDDED.some((one) => STORES[one] === config.store) };
}

/** Who of them took part. */
export function present(rates, names) {
  return names.filter((name) => name in rates.rounds[0].facts);
}

/** What a process used of its cpus, and how long it had none. */
export function usageFigures(turns) {
  const total = (fact) => sum(turns.map(({ usage }) => usage[fact]));
  return {
    cpu: share(total('cpuMs') / total('ms')),
    'without a cpu': share(total('waitedMs') / total('ms')),
  };
}

/** A row for a bar: at least `least` times the rate of the quickest of `others`. */
export function barRow(group, rates, { ours = LOG, others, called = others[0], least }) {
  const name = `${ours}, beside ${called}`;
  const there = present(rates, others);
  if (there.length === 0 || present(rates, [ours]).length === 0) {
    return { group, name, absent: 'nobody to compare' };
  }
  const base = rates.greatest(there);
  const ratio = { to: base, what: 'rate', ...rates.ratio(ours, base) };
  const [own, other] = [ours, base].map((one) => usageFigures(rates.turns(one))['without a cpu'].median);
  const text = least === 1 ? 'at least as many' : `at least ${least} times`;
  return {
    group,
    name,
    ratio,
    bar: barOfRates(text, ratio.median, least, { ours: own, other }),
    note: there.length < others.length ? `${others.length - there.length} of them absent` : undefined,
  };
}
