import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { unpack } from '../../lib/log/packing.js';
import * as record from '../../lib/log/record.js';
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
