import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { MillraceError } from '../../lib/errors.js';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { DATA, range } from './damaging.js';

// Random damage of all kinds in a log of several segments: whoever reads it in either direction, and goes on where errors
// say, comes to an end, gets each record once as it was, and is told of all that is missing; no offset is given again.
const CASES = 60;
const LAST = 'last'.padEnd(20, '.');

type Random = (below: number) => number;

/** Numbers that look random, the same for the same seed. */
function randomOf(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function someLog(options: LogOptions): Promise<{ directory: string; next: number }> {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
  while (log.segments().length < 4) {
    const { next } = log;
    if (next % 5 === 0) log.appendBatch(range(next, next + 20).map((n) => `<${n}> in a batch of others`));
    else log.append(`<${next}>`.padEnd(60 + (next % 50), '.'));
  }
  for (let i = 0; i < 40; i++) log.append(`<${log.next}> ${LAST}`);
  const { next } = log;
  return { directory, next };
}

const SECTOR = 512;
const PAGE = 4096;
const WAYS: Record<string, (bytes: Buffer, at: number, random: Random) => void> = {
  'a bit': (bytes, at, random) => {
    bytes[at] ^= 1 << random(8);
  },
  'two bits near each other': (bytes, at, random) => {
    for (const place of [at, Math.min(at + random(300), bytes.length - 1)]) bytes[place] ^= 1 << random(8);
  },
  'a sector of zeros': (bytes, at) => bytes.fill(0, at & -SECTOR, (at & -SECTOR) + SECTOR),
  'a sector of anything': (bytes, at, random) => {
    for (let i = at & -SECTOR; i < (at & -SECTOR) + SECTOR; i++) bytes[i] = random(256);
  },
  'a page of ones': (bytes, at) => bytes.fill(0xff, at & -PAGE, (at & -PAGE) + PAGE),
  'other frames': (bytes, at, random) =>
    bytes.copyWithin(at & -16, DATA + (random(12_000) & -16), DATA + 12_256),
};

interface Walk {
  offsets: number[];
  /** From, to: all between them may be missing. */
  told: [number, number][];
}

async function walk(directory: string, next: number, reverse: boolean): Promise<Walk> {
  await using log = await Log.open(directory, { readOnly: true });
  const offsets: number[] = [];
  const told: [number, number][] = [];
  let from: number | undefined;
  for (let rounds = 0; rounds < 200; rounds++) {
    try {
      for await (const { offset, value } of log.read({ reverse, ...(from !== undefined && { from }) })) {
        expect(value.toString().startsWith(`<${offset}>`)).toBe(true);
        offsets.push(offset);
      }
      return { offsets, told };
    } catch (error) {
      const { code, offset, nextOffset } = error as MillraceError & { nextOffset?: number };
      expect(code).toMatch(/ERR_(CORRUPT|FORMAT|TRUNCATED)/);
      told.push(reverse ? [nextOffset ?? -1, offset ?? next] : [offset ?? 0, nextOffset ?? next]);
      if (nextOffset === undefined) return { offsets, told };
      from = nextOffset;
    }
  }
  throw new Error(`No end: ${told.slice(0, 5).join('; ')} …`);
}

describe.each<[string, LogOptions]>([
  ['records', {}],
  ['compressed batches', { compression: 'deflate' }],
])('%s', (_, options) => {
  test.each(Object.keys(WAYS))('%s: read both ways, repaired, and gone on with', async (way) => {
    const { directory: whole, next } = await someLog(options);
    const names = readdirSync(whole).filter((name) => /^\d+\.mr$/.test(name));
    const random = randomOf(WAYS[way].length + next);
    let damaged = 0;
    for (let round = 0; round < CASES / 6; round++) {
      const directory = newDirectory();
      cpSync(whole, directory, { recursive: true });
      const path = join(directory, names[random(names.length)]);
      const bytes = readFileSync(path);
      const at = DATA + random(bytes.length - DATA);
      WAYS[way](bytes, at, random);
      writeFileSync(path, bytes);
      const what = `${path}, ${at}`;
      const forwards = await walk(directory, next, false);
      const back = await walk(directory, next, true);
      expect(forwards.offsets, what).toEqual([...new Set(forwards.offsets)].sort((a, b) => a - b));
      expect(back.offsets, what).toEqual([...new Set(back.offsets)].sort((a, b) => b - a));
      for (const { offsets, told } of [forwards, back]) {
        const read = new Set(offsets);
        const missing = range(0, next).filter((offset) => !read.has(offset));
        const untold = missing.filter((offset) => !told.some(([from, to]) => from <= offset && offset <= to));
        expect(untold, what).toEqual([]);
        damaged += missing.length;
      }
      const { sound } = await Log.verify(directory);
      if (forwards.told.length + back.told.length > 0) expect(sound, what).toBe(false);
      const opened = await Log.open(directory).catch((error) => error.code);
      if (opened instanceof Log) {
        expect(opened.append('more'), what).toBe(next);
        await opened.close();
      } else expect(opened).toBe('ERR_CORRUPT');
      await Log.repair(directory);
      await using log = await Log.open(directory);
      expect(log.append('more'), what).toBeGreaterThanOrEqual(next);
    }
    expect(damaged).toBeGreaterThan(0);
  });
});
