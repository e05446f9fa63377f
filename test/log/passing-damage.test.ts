import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

/** A log of records 0, 1, 2 … with their numbers as values, and some of them damaged. */
async function damagedLog(count: number, damaged: number[]): Promise<string> {
  const directory = newDirectory();
  await using log = await Log.open(directory, { sync: 'none' });
  log.appendBatch(Array.from({ length: count }, (_, i) => `<${i}>`));
  await log.close();
  const path = join(directory, '00000000000000000000.mr');
  const bytes = readFileSync(path);
  for (const number of damaged) bytes[bytes.indexOf(`<${number}>`)] ^= 1;
  writeFileSync(path, bytes);
  return directory;
}

test.each([
  ['one', 3000, [1500]],
  ['several in a row', 3000, [1500, 1501, 1502]],
  ['several, apart', 3000, [0, 700, 702, 1500]],
])('%s: who goes on at nextOffset reads all that is whole behind it', async (_, count, damaged) => {
  await using log = await Log.open(await damagedLog(count, damaged), { readOnly: true });
  const read: number[] = [];
  const gaps: unknown[] = [];
  using tail = log.tail({ from: 'earliest' });
  while (tail.offset < count) {
    try {
      for (const { offset, value } of tail.readBatch(100)) {
        expect(value.toString()).toBe(`<${offset}>`);
        read.push(offset);
      }
    } catch (error) {
      const { code, offset, nextOffset } = error as { code: string; offset: number; nextOffset: number };
      expect(code).toBe('ERR_CORRUPT');
      expect(nextOffset).toBeGreaterThan(offset);
      gaps.push(...Array.from({ length: nextOffset - offset }, (_, i) => offset + i));
      tail.seek(nextOffset);
    }
  }
  expect(gaps).toEqual(damaged);
  expect(read).toEqual(Array.from({ length: count }, (_, i) => i).filter((i) => !damaged.includes(i)));
});

test('who asks for a damaged one hears of it', async () => {
  await using log = await Log.open(await damagedLog(10, [5]), { readOnly: true });
  using tail = log.tail({ from: 5 });
  expect(thrown(() => tail.read())).toMatchObject({ code: 'ERR_CORRUPT', offset: 5, nextOffset: 6 });
});
