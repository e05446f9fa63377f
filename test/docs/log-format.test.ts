import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inspect } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { unpack } from '../../lib/log/records/packing.js';
import * as record from '../../lib/log/records/record.js';
import { binding } from '../../lib/native.js';
import { newPath } from '../helpers/run-directory.js';
import { decode, shown } from '../log/records.js';

const page = readFileSync(new URL('../../docs/log-format.md', import.meta.url), 'utf8');
const TIME = 1_700_000_000_000_000;

/** The table that follows a text, as rows of cells. */
function tableAfter(text: string): string[][] {
  const from = page.indexOf(text);
  if (from < 0) throw new Error(`docs/log-format.md does not say '${text}'`);
  const table = /^\|.*\n\| ---.*\n((?:\|.*\n)+)/m.exec(page.slice(from))?.[1] ?? '';
  return table
    .trim()
    .split('\n')
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

function bytesIn(cells: readonly string[]): Buffer {
  return Buffer.from(cells.join('').replaceAll(/[` ]/g, ''), 'hex');
}

test('the bits of a type are those of the code', () => {
  const bits = tableAfter('The type is a set of bits').map(([, value, name]) => [name, Number(value)]);
  const { EXPIRES, KEY, HEADERS, TOMBSTONE, PACKED } = record;
  expect(bits).toEqual(Object.entries({ EXPIRES, KEY, HEADERS, TOMBSTONE, PACKED }));
  expect(page).toContain(`1 to ${record.MAX_TTL_MS} (100 years)`);
});

test('the record that is shown byte by byte is what it is said to be', () => {
  const rows = tableAfter('are type 7 and this payload');
  let at = 0;
  for (const [offset, bytes] of rows) {
    expect(Number(offset)).toBe(at);
    at += bytesIn([bytes]).length;
  }
  expect(shown(decode(bytesIn(rows.map(([, bytes]) => bytes)), 7, 3, TIME))).toEqual({
    offset: 3,
    timestamp: TIME,
    key: 'k',
    value: 'v',
    headers: ['h: x'],
    expiresAt: TIME + 1000,
  });
});

test('the batch that is shown byte by byte is what it is said to be', () => {
  const bytes = bytesIn(tableAfter('in a frame with the tag 15').map(([bytes]) => bytes));
  expect(unpack(bytes, 0, bytes.length, 15, TIME).map(shown)).toEqual([
    { offset: 5, timestamp: TIME - 2, key: 'k', value: 'abc' },
    { offset: 6, timestamp: TIME, value: 'def' },
    { offset: 15, timestamp: TIME - 1, key: 'k', value: '', tombstone: true },
  ]);
});

test('a value of 25 bytes takes what the page says', () => {
  expect(page).toContain(`**a value of 25 bytes takes ${record.frameBytes(25)} bytes**`);
});

test('log.lock and a segment are what the page says', async () => {
  const rows = tableAfter('It is made without a name').map(([offset, type, field]) => ({
    offset,
    type,
    field,
  }));
  const at = (field: string) => Number(rows.find((row) => row.field.startsWith(field))?.offset);
  const log = await Log.open(newPath(), { writers: 'shared', sync: 'none' });
  await log.appendAsync('first');
  const lock = readFileSync(join(log.path, 'log.lock'));
  expect(lock.length).toBe(4096);
  expect(lock.toString('latin1', at('magic'), at('magic') + 8)).toBe('MRLOGDIR');
  expect(lock.readUInt32LE(at('format'))).toBe(1);
  expect(lock.readUInt32LE(at('features'))).toBe(1);
  expect(lock.readInt32LE(at('CRC32C'))).toBe(binding().crc32c(lock, 0, at('CRC32C'), 0));
  expect(lock.readUInt32LE(at('appending'))).toBe(0);
  expect(lock.readUInt32LE(at('turn'))).toBe(2); // one to open it, one to append
  expect(lock.readUInt32LE(at('process ids'))).toBe(process.pid);

  const [segment] = log.segments();
  expect(segment.path).toBe(join(log.path, `${'0'.repeat(20)}.mr`));
  const { mode, capacity, readerSlots, timestamps, metadata } = inspect(segment.path);
  expect({ mode, capacity, readerSlots, timestamps }).toEqual({
    mode: 'linear',
    capacity: 65536,
    readerSlots: 0,
    timestamps: true,
  });
  const id = lock.toString('hex', at('id of the log'), at('id of the log') + 16);
  expect(metadata).toEqual({ log: { id, base: 0, maxTimeUs: 0, generation: 0 } });
  await log.close();
});
