import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Pace, Stopwatch } from '../../lib/channel/index.js';
import * as L from '../../lib/channel/layout.js';
import { environment } from '../../lib/channel/runtime/index.js';
import { inspect, Reader, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

/** What it grew by in that time, of what it says it grew by a second. */
const grown = ({ overMs, ...rates }: { overMs: number } & Record<string, number>) =>
  Object.fromEntries(Object.entries(rates).map(([name, rate]) => [name, Math.round((rate * overMs) / 1000)]));

test('a writer and its reader tell how fast they were since they were asked last', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { capacity: '64KiB' });
  using reader = await Reader.open(path);
  for (let i = 0; i < 100; i++) writer.write(Buffer.alloc(48));
  reader.readBatch(30);
  expect(grown(writer.stats().rates)).toEqual({ records: 100, bytes: 6400 });
  expect(grown(reader.stats().rates)).toEqual({ records: 30 });
  writer.write(Buffer.alloc(48));
  reader.readBatch(100);
  expect(grown(writer.stats().rates)).toEqual({ records: 1, bytes: 64 });
  expect(grown(reader.stats().rates)).toEqual({ records: 71 });
  expect(grown(writer.stats().rates)).toEqual({ records: 0, bytes: 0 });
});

test('a writer that goes on with a channel does not count what was there as its own pace', async () => {
  const [path, left] = [newPath(), newPath()];
  using first = await Writer.create(path, { capacity: '64KiB' });
  for (let i = 0; i < 100; i++) first.write(Buffer.alloc(48));
  // Nobody holds the copy: it is as if its writer had died.
  copyFileSync(path, left);
  using writer = await Writer.resume(left);
  writer.write(Buffer.alloc(48));
  const { records, rates } = writer.stats();
  expect(records).toBe(101);
  expect(grown(rates)).toEqual({ records: 1, bytes: 64 });
});

/** A channel that a writer left, with a word that is another. */
async function leftWith(word: number, value: number): Promise<string> {
  const [path, left] = [newPath(), newPath()];
  using _writer = await Writer.create(path, { capacity: '64KiB' });
  const bytes = readFileSync(path);
  bytes.writeUInt32LE(value, word);
  writeFileSync(left, bytes);
  return left;
}

test('refusals are counted beyond 2^31, by who goes on, too', async () => {
  const refusals = 2 ** 31 + 5;
  const path = await leftWith(L.REFUSALS_OFFSET, refusals);
  using writer = await Writer.resume(path);
  expect(writer.stats().refusals).toBe(refusals);
  writer.heartbeat();
  expect(inspect(path).refusals).toBe(refusals);
});

test('a heartbeat of more than 2^31 ms ago is as old as it is', async () => {
  const ageMs = 2 ** 31 + 100_000;
  const path = await leftWith(L.HEARTBEAT_OFFSET, (environment.bootMs() - ageMs) >>> 0);
  expect(inspect(path).heartbeatAgeMs).toBeGreaterThanOrEqual(ageMs);
});

test('a log tells how fast this handle appends, and one that only reads appends nothing', async () => {
  const directory = newDirectory();
  await using log = await Log.open(directory, { sync: 'none' });
  log.append('before');
  const { bytes } = log.stats();
  for (let i = 0; i < 9; i++) log.append('before');
  expect(grown(log.stats().rates)).toEqual({ records: 9, bytes: 9 * bytes });
  await using other = await Log.open(directory, { readOnly: true });
  expect(other.stats()).toMatchObject({ next: 10, records: 0, rates: { records: 0, bytes: 0 } });
});

test('waits for the disk are timed, those of flush and of send', async () => {
  using writer = await Writer.create(newPath(), { mode: 'linear', capacity: '64KiB', sync: 'commit' });
  expect(writer.stats().syncs).toEqual({ count: 0, p50: 0, p99: 0, p999: 0, max: 0 });
  await writer.send(Buffer.alloc(48));
  writer.write(Buffer.alloc(48));
  await writer.flush();
  const { count, p50, max } = writer.stats().syncs;
  expect(count).toBe(2);
  expect(p50).toBeGreaterThan(0);
  expect(max).toBeGreaterThanOrEqual(p50);
});

test('waits for room are timed, and only those who had to wait', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { capacity: '64KiB' });
  using reader = await Reader.open(path, { gate: true });
  await writer.ready();
  await writer.send(Buffer.alloc(48));
  expect(writer.stats().room.count).toBe(0);
  while (writer.tryWrite(Buffer.alloc(1000)) > 0);
  const waits = [
    writer.send(Buffer.alloc(1000)),
    writer.send(Buffer.alloc(1000)),
    writer.ready({ bytes: 1000 }),
  ];
  while (reader.readBatch(10).length > 0);
  await Promise.all(waits);
  expect(writer.stats().room).toMatchObject({ count: 3, max: expect.any(Number) });
  expect(writer.stats().room.max).toBeGreaterThan(0);
});

test('a pace over no time at all is none, and not endless', () => {
  const pace = new Pace({ records: 0 });
  for (let i = 1; i < 100; i++) expect(pace.rates({ records: i }).records).toBeLessThan(Infinity);
});

test('percentiles are of what was timed', () => {
  const stopwatch = new Stopwatch();
  const now = performance.now();
  for (let i = 0; i < 99; i++) stopwatch.since(now - 10);
  stopwatch.since(now - 5000);
  const { count, p50, p99, max } = stopwatch.times;
  expect(count).toBe(100);
  expect(p50).toBeLessThan(5000);
  expect(p50).toBeGreaterThanOrEqual(10);
  expect(p99).toBeLessThan(max);
  expect(max).toBeGreaterThanOrEqual(5000);
});
