import { afterEach, expect, test, vi } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { mortal } from '../helpers/crash.js';
import { failure } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { asleep, empty } from './fixtures/asleep.js';
import { until } from './fixtures/kernel.js';

const INERT = new URL('fixtures/inert-timers-child.js', import.meta.url).href;

afterEach(async () => {
  vi.useRealTimers();
  await endAll();
});

// It has to be the first one here: nobody in this thread may have slept before.
test('who first sleeps under fake timers is looked after, later, by real ones', async () => {
  const { writer, crash } = await mortal(() => Writer.create(newPath(), { capacity: '64KiB' }));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  using channel = await empty();
  const ready = channel.reader.ready();
  await asleep(channel.reader);
  channel.writer.write('x');
  expect(await ready).toBe(true);
  vi.useRealTimers();
  // Nobody rings for one who died.
  using reader = await Reader.open(writer.path, { idle: 'park', deadAfterMs: 0 });
  const told = failure(() => reader.ready());
  await asleep(reader);
  crash();
  expect((await told).code).toBe('ERR_WRITER_DEAD');
});

test('what is to be synced by time is, under fake timers too', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  const sync = { everyMs: 5 };
  using writer = await Writer.create(newPath(), { mode: 'linear', capacity: '64KiB', sync });
  await using log = await Log.open(newDirectory(), { sync });
  writer.write('x');
  log.append('x');
  await until(() => writer.durablePosition > 0 && log.durable > 0);
});

test('who first sleeps under timers that do nothing is kept alive, later, by real ones', async () => {
  const child = new Child(INERT, { path: newPath() });
  expect(await child.expect('slept')).toMatchObject({ ready: true });
  // What writes to it then keeps no process alive.
  expect(await child.expect('woken')).toMatchObject({ data: 'y' });
  expect(await child.exit).toEqual({ code: 0, signal: null });
});
