import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Reader, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';
import { millrace, Running } from './command.js';

const READING = [
  ['stat'],
  ['stat', '--json'],
  ['dump'],
  ['dump', '--reverse'],
  ['dump', '--from', 'record:5'],
  ['tail', '-n', '50'],
];

test.each(['ring', 'linear'] as const)('a closed %s channel is the same to the last byte', async (mode) => {
  const path = newPath();
  const writer = await Writer.create(path, { mode, capacity: '64KiB' });
  for (let i = 0; i < 100; i++) writer.write(`record ${i}`);
  writer.close();
  const before = readFileSync(path);
  for (const [verb, ...options] of READING) {
    expect(await millrace(verb, path, ...options)).toMatchObject({ code: 0, stderr: '' });
  }
  expect(await millrace('tail', '-f', path)).toMatchObject({ code: 0 });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test.each(['ring', 'linear'] as const)('a live %s channel changes by its writer only', async (mode) => {
  const path = newPath();
  using writer = await Writer.create(path, { mode, capacity: '64KiB' });
  using _reader = await Reader.open(path, { name: 'other' });
  for (let i = 0; i < 100; i++) writer.write(`record ${i}`);
  writer.heartbeat();
  const before = withoutHeartbeat(path);
  const following = new Running(['tail', '-f', path]);
  await following.until(({ lines }) => lines.length > 0);
  const watching = new Running(['stat', '--watch', '--json', path]);
  await watching.until(({ lines }) => lines.length > 0);
  for (const [verb, ...options] of READING) {
    expect(await millrace(verb, path, ...options)).toMatchObject({ code: 0, stderr: '' });
  }
  expect(writer.readers()).toHaveLength(1);
  expect(withoutHeartbeat(path).equals(before)).toBe(true);
  await following.end('SIGINT');
  await watching.end('SIGINT');
  expect(withoutHeartbeat(path).equals(before)).toBe(true);
});

/** All that a reader could write, and all else too: nothing is written while this compares. */
function withoutHeartbeat(path: string): Buffer {
  return readFileSync(path).fill(0, L.HEARTBEAT_OFFSET, L.HEARTBEAT_OFFSET + 4);
}
