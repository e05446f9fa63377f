import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type IdleStrategy, inspect, Reader, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep, empty, full, LARGE } from './fixtures/asleep.js';
import { withFewDescriptors } from './fixtures/few.js';
import { blockedOn, listenersTo, until } from './fixtures/kernel.js';

const WAITER = new URL('fixtures/waiter.js', import.meta.url).href;
const SENDER = new URL('fixtures/sender.js', import.meta.url).href;
const DEAF = new URL('fixtures/deaf.js', import.meta.url).href;
const NEVER_SLEPT = { parked: 0, woken: 0, late: 0 };
const root = process.getuid?.() === 0;

afterEach(endAll);

/** A path that anybody may come to. */
function openPath() {
  const path = newPath();
  for (const directory of [dirname(path), dirname(dirname(path))]) chmodSync(directory, 0o755);
  return path;
}

/** A process that is deaf in this way. */
function start(file: string, deaf: string, options: object) {
  const given = { ...options, prepare: DEAF, deaf };
  return deaf === 'descriptors' ? withFewDescriptors(file, given) : new Child(file, given);
}

interface Way {
  deaf: string;
  why: string;
  gate?: boolean;
  /** Who blocks needs no bell. */
  blocks: boolean;
  mayHear: boolean;
  needsRoot?: boolean;
}
const WAYS: Way[] = [
  { deaf: 'descriptors', why: 'has no descriptor left for a bell', blocks: true, mayHear: true },
  { deaf: 'fences', why: 'can not make fences for others', blocks: false, mayHear: true },
  {
    deaf: 'permission',
    why: 'may not write the file (needs root, to drop it)',
    gate: false,
    blocks: false,
    mayHear: false,
    needsRoot: true,
  },
];

describe.each(WAYS)('a reader that $why', ({ deaf, gate, blocks, mayHear, needsRoot }) => {
  test.skipIf(needsRoot && !root)('looks now and then, beside one that sleeps', async () => {
    const path = openPath();
    using writer = await Writer.create(path, { capacity: '64KiB', fileMode: 0o644 });
    const child = start(WAITER, deaf, { path, reader: { gate, idle: 'park' } });
    await child.expect('open');
    using other = await Reader.open(path, { idle: 'park' });
    for (const how of ['ready', 'next', 'batch']) {
      child.send({ how });
      const { parked } = other.stats().waits;
      const ready = other.ready();
      await asleep(other, parked + 1);
      writer.write(how);
      expect(await ready).toBe(true);
      expect(other.read()?.data.toString()).toBe(how);
      const { data, waits } = await child.expect('woken');
      expect({ data, waits }).toEqual({ data: [how], waits: NEVER_SLEPT });
      // Where it has a bell it listens, but nobody could know.
      if (deaf !== 'fences') expect(listenersTo(path, child.pid)).toBe(0);
    }
    child.send({ how: 'waitSync', options: { timeoutMs: 50 } });
    const { code, waits } = await child.expect('failed');
    expect([code, waits.parked > 0]).toEqual(['ERR_TIMEOUT', blocks]);
    expect(blockedOn(path, child.pid)).toBe(0);
    if (!mayHear) return;
    child.send({ release: true });
    await child.expect('released');
    // From then on it sleeps.
    child.send({ how: 'ready', parks: true });
    await child.expect('parked');
    expect(listenersTo(path, child.pid)).toBe(1);
    writer.write('heard');
    const { data } = await child.expect('woken');
    expect(data).toEqual(['heard']);
  });

  test.skipIf(needsRoot && !root)('is told of the end, and that its writer died', async () => {
    for (const end of ['close', 'kill']) {
      const path = openPath();
      const writer = new Child(SENDER, { path, create: { fileMode: 0o644 } });
      await writer.expect('open');
      const reading = { gate, idle: 'park', deadAfterMs: 20 };
      const child = start(WAITER, deaf, { path, reader: reading });
      await child.expect('open');
      child.send({ how: 'ready' });
      if (end === 'kill') {
        await writer.end();
        expect(await child.expect('failed')).toMatchObject({ code: 'ERR_WRITER_DEAD', waits: NEVER_SLEPT });
      } else {
        writer.send({ end });
        expect(await child.expect('woken')).toMatchObject({ result: false, waits: NEVER_SLEPT });
      }
      await child.end();
    }
  });
});

test.each(['descriptors', 'fences'])('a writer waits for room without a bell (%s)', async (deaf) => {
  const path = newPath();
  const child = start(SENDER, deaf, { path, create: {}, writer: { idle: 'park' } });
  await child.expect('open');
  using reader = await Reader.open(path, { gate: true });
  child.send({ fill: LARGE });
  await child.expect('done');
  child.send({ send: [LARGE] });
  // Once when it filled the channel, and once when it began to wait, as its heartbeat tells.
  await until(() => inspect(path).refusals >= 2);
  reader.readBatch(2);
  const { waits } = await child.expect('sent');
  expect(waits).toEqual(NEVER_SLEPT);
});

describe('who can not be heard', () => {
  /** Parks always, and counts how often it was asked. */
  class Counting implements IdleStrategy {
    looks = 0;

    idle() {
      this.looks++;
      return 'park' as const;
    }
  }

  test.each(['ready', 'waitSync', 'send'] as const)(
    'does not look at once, again and again: %s',
    async (how) => {
      const native = binding();
      const { fenceOthers } = native;
      native.fenceOthers = () => false;
      try {
        const idle = new Counting();
        using reading = await empty({ idle });
        using writing = await full(idle);
        const begun = performance.now();
        const timeoutMs = 200;
        const error = await failure(() =>
          how === 'send'
            ? writing.writer.send(Buffer.alloc(LARGE), { timeoutMs })
            : reading.reader[how]({ timeoutMs }),
        );
        expect(error.code).toBe('ERR_TIMEOUT');
        expect(idle.looks).toBeGreaterThan(2);
        // It sleeps for a millisecond at least; timers may be a little early.
        expect(idle.looks).toBeLessThan(2 * (performance.now() - begun));
        for (const { waits } of [reading.reader.stats(), writing.writer.stats()]) {
          expect(waits).toEqual(NEVER_SLEPT);
        }
      } finally {
        native.fenceOthers = fenceOthers;
      }
    },
  );
});
