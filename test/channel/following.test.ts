import { once } from 'node:events';
import { renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import {
  inspect,
  openAll,
  Reader,
  type ReaderEvents,
  type ReaderOptions,
  Writer,
  type WriterOptions,
} from '../../lib/index.js';
import { readable } from '../../lib/stream/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { type Mortal, mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep } from '../waking/fixtures/asleep.js';

const WRITER = new URL('fixtures/writer-child.js', import.meta.url).href;
const SMALL = { capacity: '64KiB' };
/** Where a writer dies: its successor is there before that is an error. */
const FOLLOWING = { follow: true, deadAfterMs: 60_000 } as const;

afterEach(endAll);

/** Collects what a reader gets, in its way, until it ends or throws. */
class Seen {
  readonly words: string[] = [];
  readonly followed: ReaderEvents['follow'][0][] = [];
  readonly done: Promise<'the end' | string>;
  #wake = () => {};

  constructor(reader: Reader, way: keyof typeof WAYS) {
    reader.on('follow', (facts) => void this.followed.push(facts));
    this.done = WAYS[way](reader, (data) => {
      this.words.push(data.toString());
      this.#wake();
    }).then(
      () => 'the end',
      ({ code }) => code,
    );
  }

  async until(count: number): Promise<string[]> {
    while (this.words.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.words;
  }
}

const WAYS = {
  async iteration(reader: Reader, see: (data: Buffer) => void) {
    for await (const { data } of reader) see(data);
  },
  async batches(reader: Reader, see: (data: Buffer) => void) {
    for await (const batch of reader.batches({ max: 2 })) for (const { data } of batch) see(data);
  },
  async 'ready and poll'(reader: Reader, see: (data: Buffer) => void) {
    while (await reader.ready()) {
      reader.poll((bytes, start, end) => see(Buffer.from(bytes.subarray(start, end))), 1);
    }
  },
};

/** How another channel takes a channel's place under a path. */
const REPLACED: Record<
  string,
  (path: string, old: Mortal<string>, options?: WriterOptions) => Promise<Writer>
> = {
  'ended, and replaced'(path, { writer }, options) {
    writer.close();
    return Writer.create(path, { ...SMALL, replace: true, ...options });
  },
  'died, and was replaced'(path, { crash }, options) {
    crash();
    return Writer.create(path, { ...SMALL, replace: true, ...options });
  },
  async 'removed while it was written, and made anew'(path, { writer }, options) {
    unlinkSync(path);
    const next = await Writer.create(path, { ...SMALL, ...options });
    writer.close();
    return next;
  },
  async 'renamed over, and ended later'(path, { writer }, options) {
    const next = await Writer.create(newPath(), { ...SMALL, ...options });
    renameSync(next.path, path);
    writer.seal();
    return next;
  },
};

const begin = () => mortal(() => Writer.create(newPath(), SMALL) as Promise<Writer<string>>);
const turns = async () => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
};

describe.each(Object.entries(REPLACED))('a channel that was %s', (_, replace) => {
  describe.each(Object.keys(WAYS) as (keyof typeof WAYS)[])('is followed by %s', (way) => {
    test('that sleeps until then', async () => {
      const old = await begin();
      using reader = await Reader.open(old.writer.path, { ...FOLLOWING, idle: 'park' });
      const seen = new Seen(reader, way);
      old.writer.write('a');
      await seen.until(1);
      await asleep(reader);
      const endedAt = reader.position;
      using next = await replace(reader.path, old);
      for (const word of ['b', 'c', 'd']) next.write(word);
      expect(await seen.until(4)).toEqual(['a', 'b', 'c', 'd']);
      expect(seen.followed).toEqual([{ endedAt, records: 1 }]);
      reader.close();
      expect(await seen.done).toBe('the end');
    });

    test('after all of it was read, and all of the next', async () => {
      const old = await begin();
      using reader = await Reader.open(old.writer.path, FOLLOWING);
      const words = Array.from({ length: 50 }, (_, n) => String(n));
      for (const word of words.slice(0, 25)) old.writer.write(word);
      const next = await replace(reader.path, old);
      for (const word of words.slice(25)) next.write(word);
      const seen = new Seen(reader, way);
      expect(await seen.until(50)).toEqual(words);
      // And so on.
      using third = await replace(reader.path, { writer: next as Writer<string>, crash: () => next.close() });
      third.write('and on');
      expect((await seen.until(51)).at(-1)).toBe('and on');
      expect(seen.followed.map(({ records }) => records)).toEqual([25, 50]);
    });
  });

  test('is the end of who does not follow', async () => {
    const old = await begin();
    using reader = await Reader.open(old.writer.path, { from: 'oldest', deadAfterMs: 60_000 });
    const seen = new Seen(reader, 'iteration');
    old.writer.write('a');
    using next = await replace(reader.path, old);
    next.write('b');
    expect(await seen.done).toBe('the end');
    expect([seen.words, seen.followed]).toEqual([['a'], []]);
  });
});

test('one that has ended is waited for until another takes its place', async () => {
  const old = await begin();
  const { path } = old.writer;
  using reader = await Reader.open(path, { follow: true });
  const seen = new Seen(reader, 'iteration');
  old.writer.close();
  await turns();
  unlinkSync(path);
  await turns();
  expect(reader.status).toBe('closed');
  using next = await Writer.create(path, SMALL);
  next.write('b');
  expect(await seen.until(1)).toEqual(['b']);
  expect(reader.status).toBe('alive');
});

describe('that wait ends', () => {
  async function ended() {
    const { writer } = await begin();
    const reader = await Reader.open(writer.path, { follow: true });
    writer.close();
    return reader;
  }

  test('in time, and the time is for all of it', async () => {
    using reader = await ended();
    expect(await failure(() => reader.ready({ timeoutMs: 5 }))).toMatchObject({
      code: 'ERR_TIMEOUT',
      timeoutMs: 5,
    });
    expect((await failure(() => reader.batches({ timeoutMs: 5 }).next())).code).toBe('ERR_TIMEOUT');
    using _next = await Writer.create(reader.path, { ...SMALL, replace: true });
    while (reader.status !== 'alive') {
      expect((await failure(() => reader.ready({ timeoutMs: 20 }))).code).toBe('ERR_TIMEOUT');
    }
  });

  test('by its signal', async () => {
    using reader = await ended();
    const controller = new AbortController();
    const waiting = failure(() => reader.ready({ signal: controller.signal }));
    await turns();
    controller.abort();
    expect(await waiting).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError' });
  });

  test('by a logger that hears of what is followed, and closes: nobody else is told', async () => {
    const { writer } = await begin();
    const info = (message: string) => {
      if (message.includes('took the place')) reader.close();
    };
    const logger = { debug() {}, info, warn() {}, error() {} };
    const reader: Reader = await Reader.open(writer.path, { follow: true, logger });
    const told: unknown[] = [];
    reader.on('follow', (facts) => void told.push(facts));
    const waiting = reader.ready();
    renameSync((await Writer.create(newPath(), SMALL)).path, writer.path);
    writer.close();
    expect(await waiting).toBe(false);
    expect(told).toEqual([]);
    expect(thrown(() => reader.status).code).toBe('ERR_CLOSED_HANDLE');
  });

  test.each(Object.keys(WAYS) as (keyof typeof WAYS)[])('by close, in %s', async (way) => {
    const reader = await ended();
    const seen = new Seen(reader, way);
    await turns();
    reader.close();
    expect(await seen.done).toBe('the end');
  });

  test('by what is no channel, and goes on when one is there', async () => {
    using reader = await ended();
    unlinkSync(reader.path);
    writeFileSync(reader.path, 'x'.repeat(20_000));
    expect((await failure(() => reader.ready())).code).toBe('ERR_FORMAT');
    unlinkSync(reader.path);
    using next = await Writer.create(reader.path, SMALL);
    next.write('b');
    expect(await reader.ready()).toBe(true);
    expect(`${reader.read()?.data}`).toBe('b');
  });
});

describe('a writer that died', () => {
  test('is an error after deadAfterMs, and what takes its place later is followed all the same', async () => {
    const { writer, crash } = await begin();
    using reader = await Reader.open(writer.path, { follow: true, deadAfterMs: 0 });
    crash();
    expect(await new Seen(reader, 'iteration').done).toBe('ERR_WRITER_DEAD');
    using next = await Writer.create(writer.path, { ...SMALL, replace: true });
    next.write('b');
    const seen = new Seen(reader, 'iteration');
    expect(await seen.until(1)).toEqual(['b']);
  });

  test("is none with onDeath: 'wait', however long there is no other", async () => {
    const { writer, crash } = await begin();
    const options = { follow: true, onDeath: 'wait', deadAfterMs: 0, idle: 'park' } as const;
    using reader = await Reader.open(writer.path, options);
    const seen = new Seen(reader, 'batches');
    crash();
    await asleep(reader);
    using next = await Writer.create(writer.path, { ...SMALL, replace: true });
    next.write('b');
    expect(await seen.until(1)).toEqual(['b']);
  });

  test('is followed where its file was removed, as long as it is an error', async () => {
    const { writer, crash } = await begin();
    crash();
    using reader = await Reader.open(writer.path, { follow: true, deadAfterMs: 0 });
    unlinkSync(writer.path);
    using next = await Writer.create(writer.path, SMALL);
    next.write('b');
    expect(await new Seen(reader, 'iteration').until(1)).toEqual(['b']);
  });

  // Nobody can end or resume that channel any more.
  test("and also with onDeath: 'wait'", async () => {
    const { writer, crash } = await begin();
    crash();
    using reader = await Reader.open(writer.path, { follow: true, onDeath: 'wait' });
    unlinkSync(writer.path);
    using next = await Writer.create(writer.path, SMALL);
    next.write('b');
    expect(await reader.ready({ timeoutMs: 1000 })).toBe(true);
  });

  test('in another process, whose successor is in a third, is followed by both of two readers', async () => {
    const path = newPath();
    const first = new Child(WRITER, { path });
    await first.expect('open');
    const options: ReaderOptions = { follow: true, onDeath: 'wait', from: 'oldest' };
    using one = await Reader.open(path, options);
    using other = await Reader.open(path, { ...options, gate: false, idle: 'park' });
    const all = [new Seen(one, 'iteration'), new Seen(other, 'batches')];
    first.send({ write: ['a', 'b'] });
    for (const seen of all) await seen.until(2);
    first.kill('SIGKILL');
    await first.exit;
    const second = new Child(WRITER, { path, create: { replace: true } });
    await second.expect('open');
    second.send({ write: ['c'], end: 'seal' });
    for (const seen of all) {
      expect(await seen.until(3)).toEqual(['a', 'b', 'c']);
      expect(seen.followed).toEqual([{ endedAt: 64, records: 2 }]);
    }
    expect(await second.exit).toMatchObject({ code: 0 });
    expect(one.status).toBe('sealed');
  });
});

describe('a reader that went over', () => {
  async function over(options: ReaderOptions = {}, next: WriterOptions = {}) {
    const old = await begin();
    old.writer.write('a');
    const reader = await Reader.open(old.writer.path, { from: 'oldest', follow: true, ...options });
    expect(`${reader.read()?.data}`).toBe('a');
    const writer = await REPLACED['ended, and replaced'](reader.path, old, next);
    writer.write('b');
    return { reader, writer };
  }

  test('stands in the new channel as it stood in the old one', async () => {
    const { reader, writer } = await over(
      { name: 'on', gate: { evictAfterMs: 77 } },
      { metadata: { generation: 2 } },
    );
    expect(writer.readers()).toEqual([]);
    expect(await reader.ready()).toBe(true);
    expect(writer.readers()).toMatchObject([{ name: 'on', state: 'gating', evictAfterMs: 77, position: 0 }]);
    expect([reader.position, reader.recordNumber, reader.metadata]).toEqual([0, 0, { generation: 2 }]);
    expect(reader.channelId).toBe(inspect(reader.path).channelId);
    expect(reader.read()).toMatchObject({ record: 0, position: 0 });
    expect(reader.stats()).toMatchObject({ records: 2, lost: 0, position: 32 });
    reader.close();
    expect(writer.readers()).toEqual([]);
    writer.close();
  });

  test('has let go of the old one', async () => {
    const { writer } = await begin();
    const { path } = writer;
    using reader = await Reader.open(path, { follow: true });
    renameSync(path, `${path}.old`);
    using _next = await Writer.create(path, SMALL);
    writer.close();
    expect(inspect(`${path}.old`).readers).toHaveLength(1);
    const followed = once(reader, 'follow');
    const waiting = reader.ready();
    await followed;
    expect(inspect(`${path}.old`).readers).toEqual([]);
    reader.close();
    expect(await waiting).toBe(false);
  });

  test('goes anywhere in the new channel, and is at its end where that is', async () => {
    const { reader, writer } = await over();
    await reader.ready();
    writer.write('c');
    reader.seek('latest');
    expect([...reader.backwards()].map(({ data }) => `${data}`)).toEqual(['c', 'b']);
    reader.seek('oldest');
    expect(reader.readBatch(9).map(({ data }) => `${data}`)).toEqual(['b', 'c']);
    expect(reader.ended).toBe(false);
    writer.seal();
    expect([reader.ended, reader.status]).toEqual([true, 'sealed']);
    reader.close();
  });

  test('takes a channel of another kind, from the oldest record that is there', async () => {
    const linear = await over({ gate: false }, { mode: 'linear', timestamps: true });
    await linear.reader.ready();
    expect(linear.reader.read()).toMatchObject({ timestamp: expect.any(Number), tag: 0 });
    linear.reader.close();
    linear.writer.close();

    const { reader, writer } = await over({ gate: false });
    while (writer.position < 200_000) writer.write(Buffer.alloc(1000));
    const { records } = writer.stats();
    await reader.ready();
    expect(reader.recordNumber).toBeGreaterThan(records - 80);
    expect(reader.read()?.data).toEqual(Buffer.alloc(1000));
    reader.close();
    writer.close();
  });

  test('adds up what it lost in all of them', async () => {
    const { reader, writer } = await over({ gate: false, onLost: 'skip' });
    await reader.ready();
    let lost = 0;
    for (let n = 0; n < 2; n++) {
      const end = writer.position;
      while (writer.position - end < 200_000) writer.write(Buffer.alloc(1000));
      while (reader.read() !== undefined);
      expect(reader.lost).toBeGreaterThan(lost);
      lost = reader.lost;
    }
    const { records } = writer.stats();
    writer.close();
    const third = await Writer.create(writer.path, { ...SMALL, replace: true });
    third.write('c');
    await reader.ready();
    expect(reader.lost).toBe(lost);
    expect(reader.stats()).toMatchObject({ records: 1 + records - lost, lost });
    reader.close();
    third.close();
  });
});

test('a thread that blocks does not go over: it is told that the channel has ended', async () => {
  const old = await begin();
  using reader = await Reader.open(old.writer.path, { follow: true });
  using next = await REPLACED['ended, and replaced'](reader.path, old);
  next.write('b');
  expect(reader.waitSync({ timeoutMs: 60_000 })).toBe(false);
  expect(reader.ended).toBe(true);
  expect(await reader.ready()).toBe(true);
  expect(reader.waitSync()).toBe(true);
  expect(`${reader.read()?.data}`).toBe('b');
});

test('waits that go over together do so once', async () => {
  const old = await begin();
  using reader = await Reader.open(old.writer.path, FOLLOWING);
  const followed: unknown[] = [];
  reader.on('follow', (facts) => void followed.push(facts));
  // None of them takes what another one waits for.
  const waits = [reader.ready(), reader.ready({ timeoutMs: 60_000 }), reader.ready()];
  using next = await REPLACED['died, and was replaced'](reader.path, old);
  next.write('b');
  expect(await Promise.all(waits)).toEqual([true, true, true]);
  expect((await reader.batches().next()).value).toHaveLength(1);
  expect(followed).toHaveLength(1);
  expect(next.readers()).toHaveLength(1);
});

test('a stream of one goes on over all of them', async () => {
  const old = await begin();
  const reader = await Reader.open(old.writer.path, { follow: true, from: 'oldest' });
  const stream = readable(reader);
  const chunks: string[] = [];
  old.writer.write('a');
  const next = await REPLACED['ended, and replaced'](reader.path, old);
  next.write('b');
  for await (const chunk of stream) {
    chunks.push(`${chunk}`);
    if (chunks.length === 2) break;
  }
  expect(chunks).toEqual(['a', 'b']);
  next.close();
});

test('it is an option of one reader only', async () => {
  expect(await failure(() => openAll([newPath()], { follow: true } as object))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    option: 'follow',
  });
  expect((await failure(() => Reader.open(newPath(), { follow: 1 as never }))).code).toBe(
    'ERR_INVALID_ARGUMENT',
  );
});
