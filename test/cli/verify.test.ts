import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';
import { linesOf, millrace, objectsOf } from './command.js';

async function make(damaged: boolean): Promise<string> {
  const writer = await Writer.create(newPath(), { mode: 'linear', capacity: '64KiB', checksum: 'crc32c' });
  writer.writeBatch(['one', 'two', 'three']);
  writer.close();
  if (damaged) {
    const bytes = readFileSync(writer.path);
    bytes[bytes.readInt32LE(L.DATA_OFFSET_OFFSET) + 32 + 16] ^= 1;
    writeFileSync(writer.path, bytes);
  }
  return writer.path;
}

test('a sound channel: exit code 0', async () => {
  const path = await make(false);
  const { code, stdout, stderr } = await millrace('verify', path);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(linesOf(stdout)[0]).toBe(`${path}: sound`);
  expect(stdout).toContain('closed, 3 records in 96 B of stream, 3 of them by their checksum');
});

test('a damaged one: each fault with its position, and exit code 1; the others are looked at, too', async () => {
  const [damaged, sound] = [await make(true), await make(false)];
  const before = readFileSync(damaged);
  const { code, stdout } = await millrace('verify', damaged, sound);
  expect(code).toBe(1);
  expect(stdout).toContain(`${damaged}: 1 fault\n  ERR_CORRUPT at 32; goes on at 64: `);
  expect(stdout).toContain(`${sound}: sound`);
  expect(readFileSync(damaged).equals(before)).toBe(true);
});

test('as objects', async () => {
  const { code, stdout } = await millrace('verify', '--json', await make(true));
  expect(code).toBe(1);
  expect(objectsOf(stdout)).toMatchObject([
    { sound: false, records: 2, faults: [{ code: 'ERR_CORRUPT', position: 32, next: 64 }] },
  ]);
});

test('what is not there is an error, and no channel wrong use', async () => {
  const missing = await millrace('verify', newPath());
  expect([missing.code, missing.stdout]).toEqual([1, '']);
  expect(missing.stderr).toContain('ERR_NOT_FOUND');
  expect((await millrace('verify')).code).toBe(2);
});
