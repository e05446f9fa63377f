import { renameSync, rmSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep, empty } from './fixtures/asleep.js';
import { bellsOf, blockedOn, listenersTo, until } from './fixtures/kernel.js';

const WAITER = new URL('fixtures/waiter.js', import.meta.url).href;
const SENDER = new URL('fixtures/sender.js', import.meta.url).href;

afterEach(endAll);

describe('a file whose name is gone is still rung for', () => {
  const WAYS: [what: string, vanish: (path: string) => unknown][] = [
    ['removed', (path) => rmSync(path)],
    ['renamed', (path) => renameSync(path, `${path}-moved`)],
    [
      'taken by another channel',
      async (path) => {
        rmSync(path);
        const other = await Writer.create(path, { capacity: '64KiB' });
        other.write('not this one');
        other.close();
      },
    ],
  ];

  test.each(WAYS)('%s', async (_, vanish) => {
    using channel = await empty();
    const { writer, reader, path } = channel;
    using late = await Reader.open(path, { idle: 'park' });
    const child = new Child(WAITER, { path });
    await child.expect('open');
    child.send({ how: 'ready', parks: true });
    await child.expect('parked');
    const early = reader.ready();
    await asleep(reader);
    await vanish(path);
    // One more begins to listen only now.
    const lately = late.ready();
    await asleep(late);
    writer.write('x');
    expect(await Promise.all([early, lately])).toEqual([true, true]);
    expect(await child.expect('woken')).toMatchObject({ data: ['x'], waits: { woken: 1, late: 0 } });
    for (const each of [reader, late]) {
      expect(each.stats().waits).toEqual({ parked: 1, woken: 1, late: 0 });
    }
  });
});

describe('who no longer waits no longer listens', () => {
  test('when the last reader of a file is closed', async () => {
    using channel = await empty();
    const { writer, reader, path } = channel;
    using other = await Reader.open(path, { idle: 'park' });
    const waits = [reader.ready(), other.ready()];
    await Promise.all([asleep(reader), asleep(other)]);
    // One for this thread, however many wait.
    expect(listenersTo(path)).toBe(1);
    other.close();
    expect(listenersTo(path)).toBe(1);
    writer.write('x');
    expect(await Promise.all(waits)).toEqual([true, false]);
    reader.close();
    expect(listenersTo(path)).toBe(0);
  });

  test('when a reader that waited was dropped without a close', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const { path } = writer;
    await (async () => {
      const reader = await Reader.open(path, { idle: 'park' });
      expect((await failure(() => reader.ready({ timeoutMs: 1 }))).code).toBe('ERR_TIMEOUT');
      expect(listenersTo(path)).toBe(1);
    })();
    await until(() => {
      globalThis.gc?.();
      return listenersTo(path) === 0;
    });
    // Who comes later listens again.
    using next = await Reader.open(path, { idle: 'park' });
    const ready = next.ready();
    await asleep(next);
    expect(listenersTo(path)).toBe(1);
    writer.write('x');
    expect(await ready).toBe(true);
    expect(next.stats().waits.late).toBe(0);
  });

  test('and one bell is enough for all files of a thread', async () => {
    const bells = bellsOf().length;
    const channels = await Promise.all(Array.from({ length: 10 }, () => empty()));
    const waits = channels.map(({ reader }) => reader.ready());
    await Promise.all(channels.map(({ reader }) => asleep(reader)));
    expect(bellsOf().length - bells).toBeLessThanOrEqual(1);
    for (const [i, { writer, reader }] of channels.entries()) {
      writer.write('x');
      expect(await waits[i]).toBe(true);
      expect(reader.stats().waits.late).toBe(0);
    }
    for (const channel of channels) channel[Symbol.dispose]();
  });
});

describe('a writer that dies as it tells of a record', () => {
  // It took the bits away, raised the sequence, or woke those who sleep.
  test.each([90, 91, 92])('at step %i, leaves nobody asleep behind its successor', async (dies) => {
    const path = newPath();
    const options = { path, create: {}, dieAt: { step: dies } };
    const writer = new Child(SENDER, options, { steps: true });
    await writer.expect('open');
    using reader = await Reader.open(path, { from: 'oldest', idle: 'park', onDeath: 'wait' });
    const blocked = new Child(WAITER, { path, reader: { onDeath: 'wait' } });
    await blocked.expect('open');
    blocked.send({ how: 'waitSync' });
    await until(() => blockedOn(path, blocked.pid) > 0);
    const ready = reader.ready();
    await asleep(reader);
    writer.send({ write: ['last words'] });
    expect(await writer.exit).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await ready).toBe(true);
    expect(reader.read()?.data.toString()).toBe('last words');
    expect(await blocked.expect('woken')).toMatchObject({ data: ['last words'] });
    // Whoever sleeps now is told by the next one: of its coming, and of what it writes.
    const { parked, late } = reader.stats().waits;
    const again = reader.ready();
    await asleep(reader, parked + 1);
    blocked.send({ how: 'waitSync' });
    await until(() => blockedOn(path, blocked.pid) > 0);
    using next = await Writer.resume(path);
    next.write('and on');
    expect(await again).toBe(true);
    expect(await blocked.expect('woken')).toMatchObject({ data: ['and on'] });
    expect(reader.read()?.data.toString()).toBe('and on');
    expect(reader.stats().waits.late).toBe(late);
  });
});

describe('a reader table that is full', () => {
  test('names all its holders, asleep in this and other processes, until one of them is gone', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB', readers: 3 });
    const { path } = writer;
    using first = await Reader.open(path, { name: 'first', idle: 'park' });
    const parked = new Child(WAITER, { path, reader: { name: 'parked' } });
    await parked.expect('open');
    const blocked = new Child(WAITER, { path, reader: { name: 'blocked' } });
    await blocked.expect('open');
    const ready = first.ready();
    await asleep(first);
    parked.send({ how: 'ready', parks: true });
    await parked.expect('parked');
    blocked.send({ how: 'waitSync' });
    await until(() => blockedOn(path, blocked.pid) > 0);
    const error = await failure(() => Reader.open(path, { gate: true }));
    expect(error).toMatchObject({
      code: 'ERR_NO_READER_SLOT',
      path,
      holders: [
        { name: 'first', pid: process.pid, alive: true },
        { name: 'parked', pid: parked.pid, alive: true },
        { name: 'blocked', pid: blocked.pid, alive: true },
      ],
    });
    for (const name of ['first', 'parked', 'blocked']) expect(error.message).toContain(name);
    // One that needs no slot sleeps all the same.
    using seen = await Reader.open(path, { gate: false, idle: 'park' });
    const sees = seen.ready();
    await asleep(seen);
    await blocked.end();
    using heir = await Reader.open(path, { gate: true, name: 'heir', idle: 'park' });
    const inherits = heir.ready();
    await asleep(heir);
    writer.write('x');
    expect(await Promise.all([ready, sees, inherits])).toEqual([true, true, true]);
    expect((await parked.expect('woken')).data).toEqual(['x']);
    expect(writer.readers().map(({ name }) => name)).toEqual(['first', 'parked', 'heir']);
  });
});
