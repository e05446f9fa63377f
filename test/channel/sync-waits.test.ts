import { readFileSync } from 'node:fs';
import { setImmediate as realTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { disk } from '../../lib/channel/runtime/disk.js';
import { strategyForWork } from '../../lib/channel/waiting/idle.js';
import { type Idle, type Idling, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { Caught } from '../helpers/uncaught.js';
import { LINEAR, restoringAll } from './linear-channel.js';

restoringAll();

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

/** Says what it is told to, the last of it again and again, and writes down what it was asked. */
function saying(...says: Idling[]) {
  const asked: string[] = [];
  return {
    asked,
    idle(looks: number) {
      asked.push(`idle ${looks}`);
      return says[Math.min(looks, says.length) - 1];
    },
    found(looks: number) {
      asked.push(`found ${looks}`);
    },
  };
}

/** No sync ends before it is told to. */
function holdSyncs(): { begun: () => boolean; end: () => void } {
  const { flushFrames } = disk;
  let end = () => {};
  const flushing = vi.spyOn(disk, 'flushFrames').mockImplementation(async (...given) => {
    await new Promise<void>((resolve) => {
      end = resolve;
    });
    return flushFrames(...given);
  });
  return { begun: () => flushing.mock.calls.length > 0, end: () => end() };
}

/** Turns of the event loop until there is nothing else to be waited for. */
async function turnsUntil(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turnOfTheLoop();
}

describe('while somebody waits for a sync', () => {
  test('the event loop goes round as long as the strategy says, and not once more', async () => {
    const idle = saying('yield', 'look', 'yield', 'park');
    using writer = await Writer.create(newPath(), { ...LINEAR, idle });
    const { begun, end } = holdSyncs();
    const yields = vi.spyOn(binding(), 'yieldCpu');
    writer.write('x');
    const flushed = writer.flush();
    await turnsUntil(() => begun() && idle.asked.length === 4);
    for (let turns = 0; turns < 5; turns++) await turnOfTheLoop();
    expect(idle.asked).toEqual(['idle 1', 'idle 2', 'idle 3', 'idle 4']);
    expect(yields).toHaveBeenCalledTimes(3);
    end();
    await flushed;
    expect(idle.asked.slice(4)).toEqual(['found 4']);
  });

  test('it stops with the sync', async () => {
    const idle = saying('yield');
    using writer = await Writer.create(newPath(), { ...LINEAR, idle });
    const { begun, end } = holdSyncs();
    for (let round = 0; round < 2; round++) {
      writer.write('x');
      const before = idle.asked.length;
      const flushed = writer.flush();
      await turnsUntil(() => begun() && idle.asked.length > before + 10);
      end();
      await flushed;
      const after = idle.asked.length;
      expect(idle.asked.at(-1)).toBe(`found ${after - before - 1}`);
      expect(idle.asked[before]).toBe('idle 1');
      for (let turns = 0; turns < 5; turns++) await turnOfTheLoop();
      expect(idle.asked).toHaveLength(after);
    }
  });

  test.each<Idle>(['spin', 'yield', 'adaptive'])('%s leaves it its turns', async (idle) => {
    using writer = await Writer.create(newPath(), { ...LINEAR, idle });
    const { begun, end } = holdSyncs();
    writer.write('x');
    const flushed = writer.flush();
    await turnsUntil(begun);
    await new Promise((resolve) => setTimeout(resolve));
    end();
    expect(await flushed).toBe(writer.position);
  });

  test('a strategy that fails ends neither the sync nor the wait', async () => {
    for (const idle of [
      { idle: () => JSON.parse('sleep') as Idling },
      { idle: () => 'sleep' as Idling },
      { idle: () => 'park' as const, found: () => JSON.parse('sleep') as undefined },
    ]) {
      using writer = await Writer.create(newPath(), { ...LINEAR, idle });
      using caught = new Caught();
      writer.write('x');
      expect(await writer.flush()).toBe(writer.position);
      expect(await caught.first()).toBeInstanceOf(Error);
    }
  });

  test('a failed sync ends it, too', async () => {
    const idle = saying('yield');
    using writer = await Writer.create(newPath(), { ...LINEAR, idle });
    vi.spyOn(disk, 'flushFrames').mockRejectedValue(new Error('EIO'));
    writer.write('x');
    await expect(writer.flush()).rejects.toMatchObject({ code: 'ERR_SYNC_FAILED' });
    const { length } = idle.asked;
    await turnOfTheLoop();
    await turnOfTheLoop();
    expect(idle.asked).toHaveLength(length);
  });

  test('it goes round where setImmediate is a fake, and after that', async () => {
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const idle = saying('yield');
    using writer = await Writer.create(newPath(), { ...LINEAR, idle });
    const { end } = holdSyncs();
    vi.useFakeTimers({ toFake: ['setImmediate'] });
    for (let round = 0; round < 2; round++) {
      writer.write('x');
      const before = idle.asked.length;
      const flushed = writer.flush();
      for (let turns = 0; turns < 10; turns++) await realTurn();
      expect(idle.asked.length).toBeGreaterThan(before + 2);
      end();
      await flushed;
      vi.useRealTimers();
    }
  });

  test('a log asks the strategy that it was opened with, in each segment', async () => {
    const idle = saying('park');
    await using log = await Log.open(newDirectory(), { sync: 'commit', segment: '16KiB', idle });
    const begun = vi.spyOn(binding(), 'beginToWrite');
    for (let i = 0; i < 12; i++) await log.commit(Buffer.alloc(4000));
    expect((await log.segments()).length).toBeGreaterThan(1);
    expect(idle.asked.length).toBeGreaterThanOrEqual(24);
    expect(begun).not.toHaveBeenCalled();
  });
});

describe('a strategy that does something itself', () => {
  /** Does so the first time that it is asked. */
  const doing = (act: () => void) => {
    let acted = false;
    return {
      idle() {
        if (!acted) {
          acted = true;
          act();
        }
        return 'park' as const;
      },
    };
  };
  const writeMuch = (writer: Writer) => {
    for (let i = 0; i < 6; i++) writer.write(Buffer.alloc(1000));
  };

  test('begins no sync beside another by what it writes', async () => {
    const idle = doing(() => writeMuch(writer));
    const writer = await Writer.create(newPath(), { ...LINEAR, idle, sync: { everyBytes: 4096 } });
    let running = 0;
    const atOnce: number[] = [];
    const { flushFrames } = disk;
    vi.spyOn(disk, 'flushFrames').mockImplementation(async (...given) => {
      atOnce.push(++running);
      try {
        return await flushFrames(...given);
      } finally {
        running--;
      }
    });
    writer.write('x');
    await writer.flush();
    expect(await writer.flush()).toBe(writer.position);
    expect(new Set(atOnce)).toEqual(new Set([1]));
    writer.close();
  });

  test('does not do it in the midst of a write', async () => {
    const idle = doing(() => writer.write('y'));
    const writer = await Writer.create(newPath(), { ...LINEAR, idle, sync: { everyBytes: 4096 } });
    writer.write('x');
    const flushed = writer.flush();
    for (let i = 0; i < 6; i++) {
      const { position } = writer;
      expect(writer.write(Buffer.alloc(1000))).toBe(position);
    }
    await flushed;
    writer.close();
  });

  test('ends the channel before a sync begins, which then does not', async () => {
    const idle = { ...doing(() => writer.close()), found: vi.fn() };
    const writer = await Writer.create(newPath(), { ...LINEAR, idle });
    const flushing = vi.spyOn(disk, 'flushFrames');
    writer.write('x');
    await expect(writer.flush()).rejects.toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
    await turnOfTheLoop();
    expect(flushing).not.toHaveBeenCalled();
    expect(idle.found).toHaveBeenCalledTimes(1);
  });

  test('ends the channel where a sync failed: who waits is told of that', async () => {
    const idle = { ...doing(() => {}), found: () => writer.close() };
    const writer = await Writer.create(newPath(), { ...LINEAR, idle });
    vi.spyOn(disk, 'flushFrames').mockRejectedValue(new Error('EIO'));
    writer.write('x');
    await expect(writer.flush()).rejects.toMatchObject({ code: 'ERR_SYNC_FAILED' });
  });
});

test('nobody is kept awake by a sync that nobody waits for', async () => {
  const idle = saying('yield');
  using writer = await Writer.create(newPath(), { ...LINEAR, idle, sync: { everyBytes: 4096 } });
  const { begun, end } = holdSyncs();
  const begins = vi.spyOn(binding(), 'beginToWrite');
  while (writer.position < 8192) writer.write(Buffer.alloc(1000));
  await turnsUntil(begun);
  end();
  await turnsUntil(() => writer.durablePosition > 0);
  expect(idle.asked).toEqual([]);
  expect(begins).not.toHaveBeenCalled();
});

describe('what is little, and is waited for', () => {
  /** The stretches of bytes that were begun with; `looked` is called each time. */
  const watch = (looked = () => {}) => {
    const begun: unknown[] = [];
    vi.spyOn(binding(), 'beginToWrite').mockImplementation((_file, start, end) => {
      begun.push([start, end]);
      looked();
    });
    return begun;
  };

  const dataOf = ({ path }: Writer) => readFileSync(path).readInt32LE(L.DATA_OFFSET_OFFSET);

  test('is begun with at once, checksums and all: from what is on the disk on, and the header', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, idle: 'yield', checksum: 'crc32c' });
    const data = dataOf(writer);
    const checksums: number[] = [];
    const begun = watch(() => {
      const last = data + writer.position - 64;
      checksums.push(readFileSync(writer.path).readUInt32LE(last + L.FRAME_CRC_OFFSET));
    });
    for (let round = 0; round < 3; round++) {
      const durable = writer.durablePosition;
      for (let i = 0; i < 4; i++) writer.write(Buffer.alloc(48));
      const end = writer.position;
      expect(await writer.flush()).toBe(end);
      expect(begun.splice(0)).toEqual([
        [data + durable, data + end],
        [0, L.HEADER_BYTES],
      ]);
      expect(checksums.splice(0)).not.toContain(0);
    }
  });

  test('not where who waits sleeps', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, idle: 'park' });
    const begun = watch();
    writer.write('x');
    await writer.flush();
    expect(begun).toEqual([]);
  });

  test('nor where it is more', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, idle: 'yield' });
    const data = dataOf(writer);
    const begun = watch();
    while (writer.position < 2 ** 16) writer.write(Buffer.alloc(48));
    await writer.flush();
    expect(begun).toHaveLength(2);
    while (writer.position <= 2 ** 17) writer.write(Buffer.alloc(48));
    await writer.flush();
    expect(begun.splice(0)).toEqual([
      [data, data + 2 ** 16],
      [0, L.HEADER_BYTES],
    ]);
  });
});

describe('adaptive', () => {
  let now = 1000;

  beforeEach(() => {
    vi.spyOn(performance, 'now').mockImplementation(() => now);
  });
  afterEach(() => {
    now = 1000;
  });

  test('yields while turns are short, for a millisecond', () => {
    const strategy = strategyForWork('adaptive');
    for (let looks = 1; looks <= 100; looks++) {
      expect(strategy.idle(looks, (looks - 1) / 100), `look ${looks}`).toBe('yield');
    }
    expect(strategy.idle(101, 1)).toBe('park');
  });

  test.each([
    ['twice as long as it was in vain', [0, 0.4, 0.8, 1.1], 2 * 1.1],
    ['twenty times as long as others had the cpu', [0, 0.1, 4.1], 20 * 4],
  ])('rests %s', (_, times, restMs) => {
    const strategy = strategyForWork(undefined);
    for (const [i, waitedMs] of times.entries()) {
      expect(strategy.idle(i + 1, waitedMs)).toBe(i === times.length - 1 ? 'park' : 'yield');
    }
    // What is found while it sleeps is nothing to go by.
    strategy.found?.(times.length, 30);
    now += restMs - 0.1;
    expect(strategy.idle(1, 0)).toBe('park');
    strategy.found?.(1, 30);
    now += 0.2;
    expect(strategy.idle(1, 0)).toBe('yield');
  });

  test('a turn that was long is one, too, where what was waited for comes with it', () => {
    const strategy = strategyForWork('adaptive');
    expect(strategy.idle(1, 0)).toBe('yield');
    strategy.found?.(1, 0.4);
    expect(strategy.idle(1, 0)).toBe('yield');
    strategy.found?.(1, 0.5);
    expect(strategy.idle(1, 0)).toBe('park');
    now += 10;
    expect(strategy.idle(1, 0)).toBe('yield');
  });
});
