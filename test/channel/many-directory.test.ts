import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { inspect, type ManyOptions, openAll, Reader, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

/** Makes channels of a directory; each is closed at the end. */
class Place {
  readonly path = newDirectory();
  readonly #closing: { close(): void }[] = [];

  async write(name: string, text: string, options = {}): Promise<Writer> {
    const writer = await Writer.create(join(this.path, name), { capacity: '64KiB', ...options });
    this.#closing.push(writer);
    writer.write(text);
    return writer;
  }

  async open(options: ManyOptions = {}) {
    const many = await openAll(this.path, options);
    this.#closing.push(many);
    return many;
  }

  [Symbol.dispose](): void {
    for (const closing of this.#closing.reverse()) closing.close();
  }
}

/** Whatever it throws, which may be nothing of ours. */
const caughtOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('It did not throw'),
    (thrown: unknown) => thrown,
  );
const caught = (work: () => unknown) => caughtOf(Promise.resolve().then(work));

const said = (records: { data: Buffer }[]) => records.map(({ data }) => data.toString()).sort();

test('those that are there are read, what is no channel is passed over', async () => {
  using place = new Place();
  await place.write('a', 'one');
  await place.write('b', 'two');
  await place.write('.hidden', 'three');
  writeFileSync(join(place.path, 'text'), 'no channel');
  writeFileSync(join(place.path, 'empty'), '');
  mkdirSync(join(place.path, 'directory'));
  symlinkSync('nowhere', join(place.path, 'dangling'));
  linkSync(join(place.path, 'a'), join(place.path, 'a-again'));
  symlinkSync(join(place.path, 'b'), join(place.path, 'b-again'));
  const many = await place.open({ from: 'oldest' });
  expect(said(many.readBatch(10))).toEqual(['one', 'two']);
  expect(many.sources()).toHaveLength(2);
});

test.each([/^a/, /^a/g, (name: string) => name.startsWith('a')])(
  'only names that match %o',
  async (match) => {
    using place = new Place();
    for (const name of ['a', 'a2', 'b']) await place.write(name, name);
    const many = await place.open({ from: 'oldest', match });
    expect(said(many.readBatch(10))).toEqual(['a', 'a2']);
  },
);

/** Does this just before the next file is opened. */
function asOneIsOpened(change: () => void): void {
  const native = binding();
  const { openFile } = native;
  vi.spyOn(native, 'openFile').mockImplementationOnce((...given) => {
    change();
    return openFile(...given);
  });
}

describe('a name that cannot be looked at', () => {
  test('is told once, and the others are read, those that are there and those that appear', async () => {
    using place = new Place();
    await place.write('a', 'one');
    const loop = join(place.path, 'loop');
    symlinkSync('loop', loop);
    const many = await place.open({ from: 'oldest' });
    expect(thrown(() => many.read())).toMatchObject({ code: 'ERR_SYSTEM', path: loop });
    expect(said(many.readBatch(10))).toEqual(['one']);
    for (const name of ['b', 'c']) {
      const ready = many.ready();
      await place.write(name, name);
      expect(await ready).toBe(true);
      expect(said(many.readBatch(10))).toEqual([name]);
    }
  });

  test('is what `match` throws for', async () => {
    using place = new Place();
    for (const name of ['a', 'b']) await place.write(name, name);
    const odd = new RangeError('odd');
    const match = (name: string) => {
      if (name === 'a') throw odd;
      return true;
    };
    const many = await place.open({ from: 'oldest', match });
    expect(() => many.read()).toThrow(odd);
    expect(said(many.readBatch(10))).toEqual(['b']);
    const ready = many.ready();
    await place.write('c', 'c');
    expect(await ready).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['c']);
  });

  test('is told again once it could be looked at meanwhile; a channel that it hides for a while joins once', async () => {
    using place = new Place();
    using other = new Place();
    const writer = await other.write('a', 'one');
    const link = join(place.path, 'link');
    const lead = (to: string) => {
      const next = join(place.path, '.next');
      symlinkSync(to, next);
      renameSync(next, link);
    };
    lead(writer.path);
    const many = await place.open({ from: 'oldest' });
    expect(said(many.readBatch(10))).toEqual(['one']);
    for (let time = 0; time < 2; time++) {
      lead('link');
      expect(await many.ready()).toBe(true);
      expect(thrown(() => many.read())).toMatchObject({ code: 'ERR_SYSTEM', path: link });
      lead(writer.path);
      const ready = many.ready();
      await place.write(`after-${time}`, 'after');
      expect(await ready).toBe(true);
      expect(said(many.readBatch(10))).toEqual(['after']);
    }
    writer.write('two');
    expect(said(many.readBatch(10))).toEqual(['two']);
  });
});

test('a large directory is looked through in many turns of the event loop', async () => {
  using place = new Place();
  for (let i = 0; i < 50; i++) writeFileSync(join(place.path, `file-${i}`), '');
  let turn = 0;
  const counting = setInterval(() => turn++, 1);
  const lookedInTurns = new Set<number>();
  const match = () => {
    lookedInTurns.add(turn);
    for (const began = performance.now(); performance.now() - began < 2; );
    return true;
  };
  await place.open({ match });
  clearInterval(counting);
  expect(lookedInTurns.size).toBeGreaterThan(3);
});

describe('while it is watched', () => {
  test('a channel that is renamed in the midst of a look is the same one', async () => {
    using place = new Place();
    const [path, renamed] = [join(place.path, 'a'), join(place.path, 'renamed')];
    const writer = await place.write('a', 'one');
    let isDue = false;
    // It was listed under the one name, and not under the other.
    const match = (name: string) => {
      if (isDue && name === 'a') renameSync(path, renamed);
      return true;
    };
    const many = await place.open({ from: 'oldest', match });
    expect(said(many.readBatch(10))).toEqual(['one']);
    isDue = true;
    const ready = many.ready();
    await place.write('b', 'of another');
    expect(await ready).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['of another']);
    expect([existsSync(path), existsSync(renamed)]).toEqual([false, true]);
    writer.write('two');
    expect(said(many.readBatch(10))).toEqual(['two']);
    const next = many.ready();
    await place.write('c', 'last');
    expect(await next).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['last']);
  });

  test('channels that appear join by themselves, from their first record on', async () => {
    using place = new Place();
    await place.write('a', 'before');
    const many = await place.open();
    expect(many.read()).toBeUndefined();
    for (const name of ['b', 'c', 'd']) {
      const ready = many.ready();
      await place.write(name, name);
      expect(await ready).toBe(true);
      expect(many.read()).toMatchObject({ source: join(place.path, name), record: 0 });
    }
  });

  test('it goes on when all have ended, until it is closed', async () => {
    using place = new Place();
    const many = await place.open();
    const iterator = many[Symbol.asyncIterator]();
    const first = iterator.next();
    (await place.write('a', 'one')).close();
    expect(`${(await first).value?.data}`).toBe('one');
    const second = iterator.next();
    await expect.poll(() => many.sources()).toMatchObject([{ ended: true, status: 'closed' }]);
    expect(many.ended).toBe(false);
    (await place.write('b', 'two')).close();
    expect(`${(await second).value?.data}`).toBe('two');
    const end = iterator.next();
    many.close();
    expect((await end).done).toBe(true);
    const { path } = place;
    expect(thrown(() => many.read())).toMatchObject({ code: 'ERR_CLOSED_HANDLE', path });
  });

  test('one that has ended does not join again, one that takes its name does', async () => {
    using place = new Place();
    const many = await place.open();
    (await place.write('a', 'first')).close();
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['first']);
    expect(many.readBatch(10)).toEqual([]);
    const ready = many.ready();
    await place.write('a', 'second', { replace: true });
    expect(await ready).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['second']);
    // By now the first one would be back, too.
    await place.write('b', 'third');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['third']);
  });

  test.each([true, false])(
    'one that takes the name of another that is just being opened is read once (watch: %s)',
    async (watch) => {
      using place = new Place();
      using elsewhere = new Place();
      (await place.write('a', 'before')).close();
      const next = await elsewhere.write('a', 'next');
      asOneIsOpened(() => renameSync(next.path, join(place.path, 'a')));
      const many = await place.open({ from: 'oldest', watch });
      if (watch) {
        await place.write('b', 'beside');
        // By now whatever is there has joined.
        await vi.waitFor(() => expect(many.reader(join(place.path, 'b'))).toBeDefined());
      }
      expect(said(many.readBatch(10))).toEqual(watch ? ['beside', 'next'] : ['next']);
      expect(many.sources().map(({ path }) => basename(path))).toEqual(watch ? ['a', 'b'] : ['a']);
    },
  );

  test('one that gets another name just as it is opened, and another its own, is read all the same', async () => {
    using place = new Place();
    using elsewhere = new Place();
    (await place.write('a', 'before')).close();
    const next = await elsewhere.write('a', 'next');
    asOneIsOpened(() => {
      renameSync(join(place.path, 'a'), join(place.path, 'b'));
      renameSync(next.path, join(place.path, 'a'));
    });
    const many = await place.open({ from: 'oldest', watch: false });
    const read = many.readBatch(10).map(({ data, source }) => `${basename(source)}: ${data}`);
    expect(read.sort()).toEqual(['a: next', 'b: before']);
  });

  test('one that was read to its end is listed until its file is gone', async () => {
    using place = new Place();
    const many = await place.open();
    const listed = () => many.sources().map(({ path, ended }) => [basename(path), ended]);
    for (const name of ['a', 'b', 'c']) {
      const writer = await place.write(name, name);
      writer.close();
      expect(await many.ready()).toBe(true);
      expect(said(many.readBatch(10))).toEqual([name]);
      // By now those before it are known to be gone.
      expect(listed()).toEqual([[name, true]]);
      rmSync(writer.path);
    }
  });

  test('one whose file is gone is listed until it was read to its end', async () => {
    using place = new Place();
    const many = await place.open();
    const writer = await place.write('a', 'one');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['one']);
    rmSync(writer.path);
    const ready = many.ready();
    await place.write('b', 'two');
    expect(await ready).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['two']);
    const listed = () => many.sources().map(({ path, ended }) => [basename(path), ended]);
    const both = [
      ['a', false],
      ['b', false],
    ];
    expect(listed()).toEqual(both);
    writer.write('three');
    writer.close();
    expect(listed()).toEqual(both);
    expect(said(many.readBatch(10))).toEqual(['three']);
    expect(listed()).toEqual([['b', false]]);
  });

  test('one that has another name by now is kept, when the file that took its name is gone', async () => {
    using place = new Place();
    const [path, renamed] = [join(place.path, 'a'), join(place.path, 'renamed')];
    const { writer, crash } = await mortal(() => Writer.create(path));
    writer.write('one');
    const many = await place.open({ from: 'oldest', onDeath: 'wait' });
    expect(said(many.readBatch(10))).toEqual(['one']);
    renameSync(path, renamed);
    await place.write('a', 'two');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['two']);
    rmSync(path);
    // By the time this is there, it is known that the other one is gone.
    await place.write('b', 'three');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['three']);
    crash();
    expect(many.readBatch(10)).toEqual([]);
    using successor = await Writer.resume(renamed);
    successor.write('four');
    expect(said(many.readBatch(10))).toEqual(['four']);
  });

  test('a file that becomes a channel only later is found by the slow look', async () => {
    using place = new Place();
    using other = new Place();
    (await other.write('a', 'copied', { mode: 'linear' })).close();
    const copy = join(place.path, 'copy');
    writeFileSync(copy, '');
    const many = await place.open();
    copyFileSync(join(other.path, 'a'), copy);
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['copied']);
  });

  test('what cannot be read is told once, with its path, and the others are read', async () => {
    using place = new Place();
    const many = await place.open();
    const broken = join(place.path, 'broken');
    writeFileSync(broken, 'MILLRACE but nothing more');
    expect(await many.ready()).toBe(true);
    expect(await failure(() => many.read())).toMatchObject({ path: broken });
    await place.write('a', 'one');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['one']);
    await place.write('b', 'two');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['two']);
  });

  test.each([new Error('odd'), null])('what `from` throws is told once: %s', async (odd) => {
    using place = new Place();
    const from = (path: string) => {
      if (path.endsWith('odd')) throw odd;
      return undefined;
    };
    const many = await place.open({ from });
    await place.write('odd', 'one');
    await expect(many.ready({ timeoutMs: 10_000 })).resolves.toBe(true);
    expect(await caught(() => many.read())).toBe(odd);
    await place.write('b', 'two');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['two']);
    expect(await caughtOf(openAll(place.path, { from }))).toBe(odd);
  });

  test('what `from` does not find is told, though the channel is there', async () => {
    using place = new Place();
    const missing = join(place.path, '.saved');
    const from = () => inspect(missing).tail;
    const many = await place.open({ from });
    await place.write('a', 'one');
    await expect(many.ready({ timeoutMs: 10_000 })).resolves.toBe(true);
    expect(thrown(() => many.read())).toMatchObject({ code: 'ERR_NOT_FOUND', path: missing });
    expect(await failure(() => openAll(place.path, { from }))).toMatchObject({ path: missing });
  });

  test("a channel without timestamps is told with order: 'timestamp'", async () => {
    using place = new Place();
    const many = await place.open({ order: 'timestamp' });
    const writer = await place.write('a', 'one');
    expect(await many.ready()).toBe(true);
    expect(await failure(() => many.read())).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      path: writer.path,
    });
    expect(writer.readers()).toEqual([]);
  });

  test('that it was removed is told', async () => {
    using place = new Place();
    const many = await place.open();
    rmSync(place.path, { recursive: true });
    expect(await many.ready()).toBe(true);
    expect(await failure(() => many.read())).toMatchObject({ code: 'ERR_NOT_FOUND', path: place.path });
    mkdirSync(place.path);
    await place.write('a', 'one');
    expect(await many.ready()).toBe(true);
    expect(said(many.readBatch(10))).toEqual(['one']);
  });

  test('after close nothing joins any more', async () => {
    using place = new Place();
    const many = await place.open();
    many.close();
    const writer = await place.write('a', 'one');
    using other = await place.open({ from: 'oldest' });
    expect(said(other.readBatch(10))).toEqual(['one']);
    expect(writer.readers()).toHaveLength(1);
  });
});

test('with watch: false it ends when those have ended that were there', async () => {
  using place = new Place();
  const writer = await place.write('a', 'one');
  const many = await place.open({ from: 'oldest', watch: false });
  await place.write('late', 'two');
  writer.close();
  const seen: string[] = [];
  for await (const { data } of many) seen.push(`${data}`);
  expect(seen).toEqual(['one']);
});

test('what is no directory, or holds a channel that cannot be opened, is an error', async () => {
  using place = new Place();
  const writer = await place.write('a', 'one', { readers: 1 });
  expect(await failure(() => openAll(writer.path))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    path: writer.path,
  });
  const missing = join(place.path, 'missing');
  expect(await failure(() => openAll(missing))).toMatchObject({ code: 'ERR_NOT_FOUND', path: missing });
  expect((await failure(() => openAll(place.path, { wait: true }))).code).toBe('ERR_INVALID_ARGUMENT');
  using _only = await Reader.open(writer.path);
  const other = await place.write('b', 'two');
  expect(await failure(() => openAll(place.path))).toMatchObject({
    code: 'ERR_NO_READER_SLOT',
    path: writer.path,
  });
  expect(other.readers()).toEqual([]);
});
