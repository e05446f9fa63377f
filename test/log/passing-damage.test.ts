import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
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

test.each([
  ['a length that reaches far behind the end', 0, 0x08000000],
  ['a length of 0', 0, -1],
  ['another kind', 4, 2],
])('%s in front of the last records hides neither these nor the end', async (_, byte, change) => {
  const directory = await damagedLog(100, []);
  const path = join(directory, '00000000000000000000.mr');
  const bytes = readFileSync(path);
  const word = bytes.indexOf('<97>') - L.FRAME_HEADER_EXTENDED + byte;
  bytes.writeInt32LE(change === -1 ? 0 : bytes.readInt32LE(word) ^ change, word);
  writeFileSync(path, bytes);
  await using log = await Log.open(directory, { readOnly: true });
  expect(log.next).toBe(100);
  using tail = log.tail({ from: 95 });
  expect(tail.readBatch(10).map(({ offset }) => offset)).toEqual([95, 96]);
  expect(thrown(() => tail.read())).toMatchObject({ code: 'ERR_CORRUPT', offset: 97, nextOffset: 98 });
  const rest: number[] = [];
  for await (const { offset } of log.read({ from: 98 })) rest.push(offset);
  expect(rest).toEqual([98, 99]);
});
