import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { cycleHandles, held } from '../soak/cycles.js';
import { KINDS, MODES } from './fixtures/setups.js';

const NOTHING = { descriptors: [], mappings: [] };

const SOON = { timeout: 10_000, interval: 10 };

/** What is held once all is unmapped, which happens on another thread. */
const heldInTheEnd = (directory: string) => expect.poll(() => held(directory), SOON);

/** The same, of what was dropped. */
function heldOnceCollected(directory: string) {
  const look = () => {
    globalThis.gc?.();
    return held(directory);
  };
  return expect.poll(look, SOON);
}

test('a thousand opens and closes, with all that can fail about it, leave nothing behind', async () => {
  const summary = await cycleHandles({ opens: 1000, seed: 11, directory: newDirectory() });
  expect(summary.failures).toEqual([]);
  expect(summary.opens).toBeGreaterThanOrEqual(1000);
  // It did all of what it is there for.
  const evicted = JSON.stringify({ evictAfterMs: 100 });
  for (const mode of ['ring', 'linear']) {
    expect(summary.outcomes).toHaveProperty([`created ${mode}`]);
    for (const gate of [undefined, true, false, evicted]) {
      expect(summary.outcomes).toHaveProperty([`opened ${mode} ${gate}`]);
    }
  }
  const others = ['ABORTED', 'ENDED', 'EXISTS', 'FORMAT', 'INVALID_ARGUMENT', 'NOT_FOUND', 'NO_READER_SLOT'];
  others.push('SYSTEM', 'TIMEOUT', 'TRUNCATED', 'WRITER_ACTIVE');
  for (const code of others) expect(summary.outcomes).toHaveProperty([`ERR_${code}`]);
  for (const end of ['resumed', 'replaced a dead one', 'replaced an ended one', 'abandoned']) {
    expect(summary.outcomes).toHaveProperty([end]);
  }
});

test('what is open is seen to be held, and nothing once it is closed', async () => {
  const directory = newDirectory();
  const writer = await Writer.create(join(directory, 'channel'), { capacity: '64KiB' });
  const reader = await Reader.open(writer.path);
  expect(held(directory).descriptors).toHaveLength(2);
  expect(held(directory).mappings.length).toBeGreaterThanOrEqual(2);
  reader.close();
  expect(held(directory).descriptors).toHaveLength(1);
  writer.close();
  expect(held(directory).descriptors).toEqual([]);
  await heldInTheEnd(directory).toEqual(NOTHING);
});

const COUNT = 64;

describe('dropped without close', () => {
  test.each(KINDS)('readers opened with %o are collected, and others take their slots', async (options) => {
    const directory = newDirectory();
    const writer = await Writer.create(join(directory, 'channel'), { capacity: '64KiB', readers: COUNT });
    await (async () => {
      const readers: Reader[] = [];
      for (let n = 0; n < COUNT; n++) {
        const reader = await Reader.open(writer.path, options);
        readers.push(reader);
        writer.write('x');
        if (n % 3 === 0) reader.read();
        if (n % 3 === 1) reader.poll(() => {});
        if (n % 3 === 2) await reader[Symbol.asyncIterator]().next();
      }
      expect(held(directory).descriptors).toHaveLength(readers.length + 1);
    })();
    // The writer's own is left.
    await heldOnceCollected(directory).toMatchObject({ descriptors: { length: 1 } });
    expect(writer.readers().filter(({ alive }) => alive)).toEqual([]);
    // They hold nobody back either.
    for (let n = 0; n < 100; n++) await writer.send(Buffer.alloc(4000), { timeoutMs: 5000 });
    const next = await Promise.all(
      Array.from({ length: COUNT }, () => Reader.open(writer.path, { gate: true })),
    );
    for (const reader of next) reader.close();
    writer.close();
    await heldOnceCollected(directory).toEqual(NOTHING);
  });

  test.each(MODES)('writers of %s channels are collected, and are dead', async (mode) => {
    const directory = newDirectory();
    const path = join(directory, 'channel-0');
    await (async () => {
      const writers: Writer[] = [];
      for (let n = 0; n < COUNT; n++) {
        const writer = await Writer.create(join(directory, `channel-${n}`), { mode, capacity: '64KiB' });
        writers.push(writer);
        writer.write('x');
        if (n % 2 === 0) writer.claim(10);
      }
      expect(held(directory).descriptors).toHaveLength(writers.length);
    })();
    await heldOnceCollected(directory).toEqual(NOTHING);
    using reader = await Reader.open(path, { from: 'oldest' });
    expect(reader.status).toBe('dead');
    expect(reader.readBatch(10)).toHaveLength(1);
  });

  test('writers that are synced now and then are collected, too', async () => {
    const directory = newDirectory();
    await (async () => {
      const sync = { everyMs: 3_600_000 };
      for (let n = 0; n < COUNT; n++) {
        const path = join(directory, `channel ${n}`);
        (await Writer.create(path, { mode: 'linear', capacity: '16KiB', sync })).write('x');
      }
    })();
    await heldOnceCollected(directory).toEqual(NOTHING);
  });

  test('logs that are compacted now and then are collected', async () => {
    const directory = newDirectory();
    await (async () => {
      const compaction = { everyMs: 3_600_000 };
      for (let n = 0; n < 8; n++) {
        const log = await Log.open(join(directory, `log ${n}`), {
          segment: '16KiB',
          sync: 'none',
          compaction,
        });
        log.append('x');
      }
    })();
    await heldOnceCollected(directory).toEqual(NOTHING);
  });

  test('a writer that somebody still holds is not', async () => {
    const directory = newDirectory();
    const writer = await Writer.create(join(directory, 'channel'), { capacity: '64KiB', heartbeatMs: 1 });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    const claim = writer.claim(10);
    for (let n = 0; n < 10; n++) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(reader.status).toBe('alive');
    claim?.commit();
    expect(reader.readBatch(10)).toHaveLength(1);
    writer.close();
  });
});
