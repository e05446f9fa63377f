import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { declareAbandoned, Reader, type Status, Writer } from '../../lib/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { mortal } from '../helpers/crash.js';
import { newPath } from '../helpers/run-directory.js';
import { Caught } from '../helpers/uncaught.js';

const WRITER = new URL('fixtures/writer-child.js', import.meta.url).href;
const LISTENER = new URL('fixtures/listener-child.js', import.meta.url).href;
const QUICK = { capacity: '64KiB', heartbeatMs: 5, stalledAfterMs: 100 };

afterEach(endAll);

/** All changes of status, in order, and the next one. */
function changesOf(reader: Reader) {
  const all: [status: Status, before: Status][] = [];
  reader.on('status', (...change) => void all.push(change));
  const next = () => once(reader, 'status');
  const until = async (status: Status) => {
    while (all.at(-1)?.[0] !== status) await next();
  };
  return { all, next, until };
}

describe.each(['ring', 'linear'] as const)('a reader of a %s channel tells', (mode) => {
  test('that the writer of another process stands still, goes on, dies, has a successor, and ends', async () => {
    const path = newPath();
    const child = new Child(WRITER, { path, create: { ...QUICK, mode } });
    await child.expect('open');
    using reader = await Reader.open(path);
    const { all, until } = changesOf(reader);
    child.kill('SIGSTOP');
    await child.stopped();
    await until('stalled');
    child.kill('SIGCONT');
    await until('alive');
    child.kill('SIGKILL');
    await until('dead');
    const successor = await Writer.resume(path);
    await until('alive');
    successor.close();
    await until('closed');
    // A machine that is busy may hold up a writer that runs; so there may be more of them.
    // Each one goes on where the one before it stopped, and the end is the last.
    expect(all.map(([, before]) => before)).toEqual(['alive', ...all.slice(0, -1).map(([status]) => status)]);
    expect(all.length).toBeGreaterThanOrEqual(5);
  });

  test.each(['close', 'seal'] as const)('that the writer of another process ended it by %s', async (end) => {
    const path = newPath();
    const child = new Child(WRITER, { path, create: { ...QUICK, mode, stalledAfterMs: 60_000 } });
    await child.expect('open');
    using reader = await Reader.open(path);
    const { all, next } = changesOf(reader);
    const change = next();
    child.send({ end });
    expect(await change).toEqual([end === 'close' ? 'closed' : 'sealed', 'alive']);
    expect(reader.status).toBe(all[0][0]);
    expect(await child.exit).toMatchObject({ code: 0 });
    expect(all).toHaveLength(1);
  });

  test('that a dead one was declared abandoned', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...QUICK, mode }));
    crash();
    using reader = await Reader.open(writer.path);
    const { all, next } = changesOf(reader);
    const change = next();
    declareAbandoned(writer.path);
    expect(await change).toEqual(['abandoned', 'dead']);
    expect(all).toHaveLength(1);
  });
});

describe('listening', () => {
  test('tells what changes from then on, nothing of before, and nothing once the reader is closed', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), QUICK));
    const closed = await Reader.open(writer.path);
    using reader = await Reader.open(writer.path);
    const early = changesOf(closed);
    closed.close();
    crash();
    const late = changesOf(reader);
    const change = late.next();
    using _successor = await Writer.resume(writer.path);
    expect(await change).toEqual(['alive', 'dead']);
    expect(early.all).toEqual([]);
  });

  test('hears nothing any more where a logger closed the reader as it was told', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), QUICK));
    let told = () => {};
    const closing = new Promise<void>((resolve) => {
      told = resolve;
    });
    const close = (message: string) => {
      if (!/is dead/.test(message)) return;
      reader.close();
      told();
    };
    const logger = { debug() {}, info() {}, warn: close, error() {} };
    const reader = await Reader.open(writer.path, { logger });
    const { all } = changesOf(reader);
    crash();
    await closing;
    // What was to be emitted would have been by then.
    await new Promise((resolve) => setImmediate(resolve));
    expect(all).toEqual([]);
  });

  test('keeps no process alive, whatever the writer does', async () => {
    using writer = await Writer.create(newPath(), QUICK);
    const child = new Child(LISTENER, { path: writer.path });
    expect(await child.expect('listening')).toMatchObject({ status: 'alive' });
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  test('by one that throws is an uncaught exception, and others hear and beat all the same', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), QUICK));
    const { path } = writer;
    using throwing = await Reader.open(path);
    using hearing = await Reader.open(path);
    using other = await Writer.create(newPath(), { ...QUICK, stalledAfterMs: 60_000 });
    using othersReader = await Reader.open(other.path);
    const fault = new RangeError('thrown by a listener');
    throwing.on('status', () => {
      throw fault;
    });
    const { next } = changesOf(hearing);
    using caught = new Caught();
    const change = next();
    crash();
    expect(await caught.first()).toBe(fault);
    expect(await change).toEqual(['dead', 'alive']);
    // Only a beat publishes it.
    other.write('x');
    other.write('y');
    while (othersReader.lag < 64) await new Promise((resolve) => setImmediate(resolve));
    expect(caught.errors).toEqual([fault]);
  });

  test('ends with removeAllListeners, and can begin anew', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), QUICK));
    using reader = await Reader.open(writer.path);
    const { all } = changesOf(reader);
    reader.on('follow', () => {});
    reader.removeAllListeners();
    expect([reader.listenerCount('status'), reader.listenerCount('follow')]).toEqual([0, 0]);
    const anew = changesOf(reader);
    crash();
    await anew.until('dead');
    expect(all).toEqual([]);
    reader.removeAllListeners('status');
    expect(reader.listenerCount('status')).toBe(0);
  });

  test('goes on over to the channel that is followed', async () => {
    const first = await Writer.create(newPath(), QUICK);
    using reader = await Reader.open(first.path, { follow: true });
    const { all, until } = changesOf(reader);
    first.close();
    const second = await mortal(() => Writer.create(first.path, { ...QUICK, replace: true }));
    second.writer.write('x');
    await reader.ready();
    second.crash();
    await until('dead');
    expect(all).toEqual([
      ['closed', 'alive'],
      ['alive', 'closed'],
      ['dead', 'alive'],
    ]);
  });
});
