import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { MillraceError } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { thrown } from '../helpers/failure.js';
import { assertItself, DATA, FRAME, fileOf, range, someLog, without } from './damaging.js';

/** Damages the lengths of two records of a segment, so that nothing leads from one to the other. */
async function twiceDamaged() {
  const { directory, bases, next } = await someLog(3, { segment: '64KiB' });
  const base = bases[1];
  const spoiled = [base + 3, base + 28];
  const path = fileOf(directory, base);
  const bytes = readFileSync(path);
  for (const offset of spoiled) bytes[DATA + (offset - base) * FRAME + 3] ^= 0x40;
  writeFileSync(path, bytes);
  return { directory, path, base, next, spoiled };
}

test('two damaged frames hide no record between them from who reads on behind them', async () => {
  const { directory, next, spoiled } = await twiceDamaged();
  await using log = await Log.open(directory, { readOnly: true });
  const read: number[] = [];
  const faults: (number | undefined)[][] = [];
  for (let from = 0; from < next; ) {
    try {
      for await (const record of log.read({ from })) {
        assertItself(record);
        read.push(record.offset);
      }
      from = next;
    } catch (error) {
      const { offset, nextOffset } = error as MillraceError;
      faults.push([offset, nextOffset]);
      from = nextOffset as number;
    }
  }
  expect(faults).toEqual(spoiled.map((offset) => [offset, offset + 1]));
  expect(read).toEqual(without(range(0, next), ...spoiled));
  using tail = log.tail({ from: spoiled[0] + 10 });
  expect(tail.read()?.offset).toBe(spoiled[0] + 10);
  tail.seek(spoiled[1]);
  expect(thrown(() => tail.read())).toMatchObject({ offset: spoiled[1], nextOffset: spoiled[1] + 1 });
});

test('nor from who reads backwards', async () => {
  const { directory, next, spoiled } = await twiceDamaged();
  await using log = await Log.open(directory, { readOnly: true });
  const read: number[] = [];
  const faults: (number | undefined)[] = [];
  for (let from: number | undefined = next - 1; from !== undefined; ) {
    try {
      for await (const record of log.read({ from, reverse: true })) {
        assertItself(record);
        read.push(record.offset);
      }
      from = undefined;
    } catch (error) {
      const { offset, nextOffset } = error as MillraceError;
      faults.push(offset);
      from = nextOffset;
    }
  }
  expect(faults).toEqual(spoiled.toReversed());
  expect(read).toEqual(without(range(0, next), ...spoiled).reverse());
});

test('each is told by who looks through the log, with its offset', async () => {
  const { directory, path, base, next, spoiled } = await twiceDamaged();
  const { faults, records } = await Log.verify(directory);
  expect(faults).toMatchObject(
    spoiled.map((offset) => ({
      code: 'ERR_CORRUPT',
      file: path,
      position: (offset - base) * FRAME,
      next: (offset - base + 1) * FRAME,
      offset,
      nextOffset: offset + 1,
    })),
  );
  expect(faults).toHaveLength(2);
  expect(records).toBe(next - 2);
});
