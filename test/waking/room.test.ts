import { afterEach, describe, expect, test } from 'vitest';
import { type Claim, type IdleStrategy, Reader, Refusal, Writer } from '../../lib/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep, full, LARGE } from './fixtures/asleep.js';
import { until } from './fixtures/kernel.js';

const SENDER = new URL('fixtures/sender.js', import.meta.url).href;
const WAITER = new URL('fixtures/waiter.js', import.meta.url).href;

afterEach(endAll);

const WAYS: [what: string, make: (reader: Reader) => unknown][] = [
  ['reads', (reader) => reader.readBatch(2)],
  ['polls', (reader) => reader.poll(() => {}, 2)],
  ['seeks forward', (reader) => reader.seek('latest')],
  ['seeks to a record', (reader) => reader.seek({ record: reader.recordNumber + 3 })],
  ['closes', (reader) => reader.close()],
];

describe('a writer that sleeps until there is room is woken by a reader that', () => {
  test.each(WAYS)('%s', async (_, make) => {
    using channel = await full();
    const { writer, reader } = channel;
    const sent = writer.send(Buffer.alloc(LARGE));
    const ready = writer.ready({ bytes: LARGE });
    await asleep(writer, 2);
    make(reader);
    await Promise.all([sent, ready]);
    expect(writer.stats().waits).toEqual({ parked: 2, woken: 2, late: 0 });
  });

  test('does so in another process', async () => {
    const path = newPath();
    const child = new Child(SENDER, { path, create: {}, writer: { idle: 'park' } });
    await child.expect('open');
    let waits = 0;
    for (const [, make] of WAYS) {
      using reader = await Reader.open(path, { gate: true, from: 'latest' });
      // What room is left is less than that, wherever in the ring this is.
      child.send({ fill: 1000 });
      await child.expect('done');
      child.send({ send: [1000], parks: true });
      await child.expect('parked');
      make(reader);
      const { waits: counts } = await child.expect('sent');
      expect(counts.woken + counts.late).toBe(++waits);
      // It may look by itself just when room was made; not each time.
      expect(counts.woken).toBeGreaterThan(counts.late);
    }
  });

  test('is killed', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB', idle: 'park' });
    const child = new Child(WAITER, { path: writer.path, reader: { gate: true } });
    await child.expect('open');
    while (writer.tryWrite(Buffer.alloc(LARGE)) > 0);
    const sent = writer.send(Buffer.alloc(LARGE));
    const ready = writer.ready({ bytes: LARGE });
    await asleep(writer, 2);
    await child.end();
    await Promise.all([sent, ready]);
    expect(writer.readers()).toEqual([]);
  });

  test('is evicted', async () => {
    using channel = await full('park', { evictAfterMs: 50 });
    const { writer, reader } = channel;
    const sent = writer.send(Buffer.alloc(LARGE));
    await asleep(writer);
    await sent;
    expect(writer.stats().evictions).toBe(1);
    expect((await failure(() => reader.ready())).code).toBe('ERR_EVICTED');
  });

  test.each([90, 91, 92])('goes on, after another one died at step %i of telling', async (step) => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '64KiB', idle: 'park' });
    using reader = await Reader.open(path, { gate: true, from: 'oldest' });
    const options = { path, reader: { gate: true }, dieAt: { step } };
    const dying = new Child(WAITER, options, { steps: true });
    await dying.expect('open');
    while (writer.tryWrite(Buffer.alloc(LARGE)) > 0);
    reader.readBatch(100);
    const sent = writer.send(Buffer.alloc(LARGE));
    await asleep(writer);
    // It reads, and dies as it tells of it.
    dying.send({ how: 'ready' });
    expect(await dying.exit).toEqual({ code: null, signal: 'SIGKILL' });
    await sent;
    // From now on it is told again: nothing is left that makes it think that it was said that it sleeps.
    const { woken, late } = writer.stats().waits;
    for (let times = 1; times <= 5; times++) {
      while (writer.tryWrite(Buffer.alloc(LARGE)) > 0);
      const { parked } = writer.stats().waits;
      const again = writer.send(Buffer.alloc(LARGE));
      await asleep(writer, parked + 1);
      reader.readBatch(100);
      await again;
      expect(writer.stats().waits).toMatchObject({ woken: woken + times, late });
    }
  });
});

describe('what is sent while there is no room', () => {
  test('goes in in order, however much it is', async () => {
    using channel = await full();
    const { writer, reader } = channel;
    while (writer.tryWrite(Buffer.alloc(10)) > 0);
    const { records } = writer.stats();
    const sends = Array.from({ length: 500 }, (_, i) => writer.send(`${i}`.padEnd(1000)));
    await asleep(writer);
    const seen: string[] = [];
    while (seen.length < records + 500) {
      const batch = reader.readBatch(4);
      seen.push(...batch.map(({ data }) => data.toString()));
      if (batch.length === 0) await reader.ready();
    }
    const positions = await Promise.all(sends);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    expect(seen.slice(records).map(Number)).toEqual(Array.from({ length: 500 }, (_, i) => i));
    // Only one of them at a time sleeps until there is room; and in one thread nobody is told twice.
    const { parked, woken, late } = writer.stats().waits;
    expect(parked).toBeGreaterThan(0);
    expect([woken, late]).toEqual([parked, 0]);
  });

  test('goes in in order, to a reader in another process that sleeps as well', async () => {
    const path = newPath();
    const child = new Child(SENDER, { path, create: {}, writer: { idle: 'park' } });
    await child.expect('open');
    using reader = await Reader.open(path, { gate: true, from: 'oldest', idle: 'park' });
    const lengths = Array.from({ length: 300 }, (_, i) => 900 + i);
    child.send({ send: lengths, parks: true });
    // 64 KiB are not room enough for all of them.
    await child.expect('parked');
    const seen: number[] = [];
    for await (const { data } of reader) if (seen.push(data.length) === lengths.length) break;
    expect(seen).toEqual(lengths);
    const { positions, waits } = await child.expect('sent');
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    expect(waits.woken).toBeGreaterThan(0);
    // Nothing is left to wait for.
    const before = reader.stats().waits.parked;
    const ready = reader.ready();
    await asleep(reader, before + 1);
    child.send({ end: 'close' });
    expect(await ready).toBe(false);
  });

  test('goes in when its turn comes because the one before it was aborted', async () => {
    using channel = await full();
    const { writer } = channel;
    const aborting = new AbortController();
    const first = failure(() => writer.send(Buffer.alloc(LARGE), { signal: aborting.signal }));
    // Beside it lies one that nobody can help.
    const ready = failure(() => writer.ready({ bytes: LARGE }));
    const second = writer.send('small');
    const third = writer.send('too');
    await asleep(writer, 2);
    const end = writer.position;
    aborting.abort();
    expect((await first).code).toBe('ERR_ABORTED');
    expect(await Promise.all([second, third])).toEqual([end, end + 32]);
    expect(writer.stats().waits.late).toBe(0);
    writer.close();
    expect((await ready).code).toBe('ERR_CLOSED_HANDLE');
  });

  test('stays behind those before it when one in between gives up', async () => {
    using channel = await full();
    const { writer, reader } = channel;
    const aborting = new AbortController();
    const first = writer.send(Buffer.alloc(LARGE));
    const second = failure(() => writer.send('small', { signal: aborting.signal }));
    const third = writer.send('small');
    await asleep(writer);
    const end = writer.position;
    aborting.abort();
    expect((await second).code).toBe('ERR_ABORTED');
    expect(writer.position).toBe(end);
    reader.readBatch(100);
    expect(await first).toBeLessThan(await third);
  });

  test('goes in when the one before it ran out of time', async () => {
    using channel = await full();
    const { writer } = channel;
    const first = failure(() => writer.send(Buffer.alloc(LARGE), { timeoutMs: 20 }));
    const second = writer.send('small');
    await asleep(writer);
    expect((await first).code).toBe('ERR_TIMEOUT');
    await second;
  });
});

test('room is waited for by each as much as it needs', async () => {
  using channel = await full();
  const { writer, reader } = channel;
  const order: string[] = [];
  const much = writer.ready({ bytes: LARGE }).then(() => order.push('much'));
  const little = writer.ready({ bytes: LARGE / 2 }).then(() => order.push('little'));
  await asleep(writer, 2);
  expect(writer.tryWrite(Buffer.alloc(LARGE / 2))).toBeLessThan(0);
  reader.readBatch(2);
  await Promise.all([much, little]);
  expect(order).toEqual(['much', 'little']);
  expect(writer.stats().waits).toEqual({ parked: 2, woken: 2, late: 0 });
});

test('what is refused to others meanwhile is not waited for', async () => {
  using channel = await full();
  const { writer, reader } = channel;
  while (writer.tryWrite('small') > 0);
  // More than there will be room for.
  const sent = writer.send(Buffer.alloc(LARGE + 100));
  expect(writer.tryWrite('small')).toBe(Refusal.BACK_PRESSURE);
  const ready = writer.ready();
  expect(writer.tryWrite(Buffer.alloc(2 * LARGE))).toBe(Refusal.TOO_LARGE);
  await asleep(writer, 2);
  reader.readBatch(1);
  await ready;
  expect(writer.tryWrite('small')).toBeGreaterThan(0);
  reader.readBatch(100);
  await sent;
});

test('what was refused as another one is told what never fits is waited for by who asks later', async () => {
  using channel = await full();
  const { writer, reader } = channel;
  reader.readBatch(1);
  writer.write(Buffer.alloc(LARGE / 2));
  expect(writer.tryWrite(Buffer.alloc(2 * LARGE))).toBe(Refusal.TOO_LARGE);
  const told = failure(() => writer.ready());
  expect(writer.tryWrite(Buffer.alloc(LARGE))).toBe(Refusal.BACK_PRESSURE);
  expect(await told).toMatchObject({ code: 'ERR_RECORD_TOO_LARGE' });
  const ready = writer.ready();
  await asleep(writer, 1);
  reader.readBatch(1);
  await ready;
  expect(writer.tryWrite(Buffer.alloc(LARGE))).toBeGreaterThan(0);
});

test('a record that waits for room was refused once, however often was looked', async () => {
  let looks = 0;
  const idle: IdleStrategy = {
    idle() {
      looks++;
      return 'yield';
    },
  };
  using channel = await full(idle);
  const { writer, reader } = channel;
  const { refusals } = writer.stats();
  const sent = writer.send(Buffer.alloc(LARGE));
  await until(() => looks > 100);
  expect(writer.stats().refusals).toBe(refusals + 1);
  reader.readBatch(2);
  await sent;
  expect(writer.stats().refusals).toBe(refusals + 1);
});

test.each(['commit', 'abort'] as const)(
  'who waits for room goes on waiting while a claim is open that was opened since, until its %s',
  async (end) => {
    let looks = 0;
    using channel = await full({ idle: () => (looks++ < 0 ? 'look' : 'yield') });
    const { writer, reader } = channel;
    let over = 0;
    const waiting = [writer.send(Buffer.alloc(LARGE)), writer.ready({ bytes: LARGE })].map((wait) =>
      wait.finally(() => over++),
    );
    const claim = writer.claim(16) as Claim;
    reader.readBatch(3);
    // More than one that is over could.
    const before = looks;
    await until(() => looks >= before + 8 || over > 0);
    expect(over).toBe(0);
    expect(await failure(() => writer.ready({ bytes: LARGE }))).toMatchObject({ code: 'ERR_BUSY' });
    // Though others wait: whoever awaited it before the claim's end would wait for ever.
    expect(await failure(() => writer.send('', { timeoutMs: 1000 }))).toMatchObject({ code: 'ERR_BUSY' });
    claim[end]();
    const [position] = await Promise.all(waiting);
    const read = reader.readBatch(100);
    expect(read.at(-1)).toMatchObject({ position, data: Buffer.alloc(LARGE) });
    expect(read.some(({ data }) => data.length === 16)).toBe(end === 'commit');
  },
);
