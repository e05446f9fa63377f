import { once } from 'node:events';
import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { openAll, type Reader, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

type OnDeath = 'throw' | 'skip' | 'wait';

async function withOneDead(onDeath: OnDeath, heartbeatMs = 20) {
  const { crash, ...one } = await withOne(onDeath, heartbeatMs);
  crash();
  return one;
}

async function withOne(onDeath: OnDeath, heartbeatMs = 20) {
  const directory = newDirectory();
  const path = join(directory, 'a');
  const { writer, crash } = await mortal(() => Writer.create(path, { capacity: '64KiB', heartbeatMs }));
  const many = await openAll(directory, { from: 'oldest', onDeath, deadAfterMs: 0 });
  writer.write('before');
  expect((await nextOf(many)).toString()).toBe('before');
  return { many, path, writer, crash };
}

async function nextOf(many: Awaited<ReturnType<typeof openAll>>): Promise<Buffer> {
  for await (const { data } of many) return data;
  throw new Error('It ended');
}

const opensOf = (path: string) =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false; // the one that listed them
    }
  });

describe.each(['throw', 'skip'] as const)('in a directory that is watched, onDeath: %s', (onDeath) => {
  test('a channel whose writer died is read on once another one resumes it', async () => {
    const { many, path } = await withOneDead(onDeath);
    const next = nextOf(many);
    if (onDeath === 'throw') {
      await expect(next).rejects.toMatchObject({ code: 'ERR_WRITER_DEAD', path });
      expect(many.sources()).toMatchObject([{ path, status: 'dead', ended: false }]);
    }
    const following = onDeath === 'throw' ? nextOf(many) : next;
    using successor = await Writer.resume(path);
    successor.write('after');
    expect((await following).toString()).toBe('after');
    many.close();
  });

  test('what a writer leaves that comes and dies unseen is read', async () => {
    const { many, path } = await withOneDead(onDeath, 1000);
    const first = nextOf(many);
    if (onDeath === 'throw') await expect(first).rejects.toMatchObject({ code: 'ERR_WRITER_DEAD', path });
    const next = onDeath === 'throw' ? nextOf(many) : first;
    // Its death is known by then, and nobody looks for longer than this takes.
    for (let time = 0; time < 2; time++) await new Promise(setImmediate);
    const { writer, crash } = await mortal(() => Writer.resume(path));
    writer.write('left');
    crash();
    expect((await next).toString()).toBe('left');
    many.close();
  });

  test('one that is removed then is let go', async () => {
    const { many, path } = await withOneDead(onDeath);
    const next = nextOf(many);
    if (onDeath === 'throw') await expect(next).rejects.toMatchObject({ code: 'ERR_WRITER_DEAD' });
    const following = onDeath === 'throw' ? nextOf(many) : next;
    rmSync(path);
    using other = await Writer.create(join(path, '../b'), { capacity: '64KiB' });
    other.write('of another');
    expect((await following).toString()).toBe('of another');
    expect(many.sources().map((source) => source.path)).toEqual([join(path, '../b')]);
    expect(opensOf(`${path} `)).toEqual([]);
    many.close();
  });
});

test('each death is told once', async () => {
  const { many, path } = await withOneDead('throw');
  await expect(nextOf(many)).rejects.toMatchObject({ code: 'ERR_WRITER_DEAD', path });
  const reader = many.reader(path) as Reader;
  const risen = once(reader, 'status');
  const { writer, crash } = await mortal(() => Writer.resume(path));
  writer.write('after');
  expect((await nextOf(many)).toString()).toBe('after');
  await risen;
  const died = once(reader, 'status');
  crash();
  await expect(nextOf(many)).rejects.toMatchObject({ code: 'ERR_WRITER_DEAD', path });
  expect(await died).toEqual(['dead', 'alive']);
  const next = nextOf(many);
  using other = await Writer.create(join(path, '../b'), { capacity: '64KiB' });
  other.write('of another');
  expect((await next).toString()).toBe('of another');
  many.close();
});

/** Removes a channel's file; returns once that was noticed, as what appeared after it joins. */
async function removed(path: string, many: Awaited<ReturnType<typeof openAll>>) {
  const next = nextOf(many);
  rmSync(path);
  using other = await Writer.create(join(path, '../b'), { capacity: '64KiB' });
  other.write('of another');
  expect((await next).toString()).toBe('of another');
}

describe.each(['throw', 'skip', 'wait'] as const)(
  'removed while its writer lives, onDeath: %s',
  (onDeath) => {
    test('it is read until that is dead, and then let go, whoever waits', async () => {
      const { many, path, crash } = await withOne(onDeath);
      await removed(path, many);
      expect(many.sources()).toMatchObject([{ ended: true }, { path, status: 'alive', ended: false }]);
      expect(opensOf(`${path} `)).toHaveLength(1);
      crash();
      await vi.waitUntil(() => opensOf(`${path} `).length === 0, 4000);
      expect(many.sources().map((source) => source.path)).toEqual([join(path, '../b')]);
      if (onDeath === 'throw')
        expect(thrown(() => many.read())).toMatchObject({ code: 'ERR_WRITER_DEAD', path });
      expect(many.read()).toBeUndefined();
      many.close();
    });

    test('what it has is read before that', async () => {
      const { many, path, writer, crash } = await withOne(onDeath);
      await removed(path, many);
      writer.write('last');
      crash();
      expect(many.sources()).toMatchObject([{ ended: true }, { path, status: 'dead', ended: false }]);
      expect(many.read()?.data.toString()).toBe('last');
      expect(opensOf(`${path} `)).toEqual([]);
      many.close();
    });
  },
);

test('one that is kept for a successor is let go once it is removed', async () => {
  const { many, path } = await withOneDead('wait');
  await removed(path, many);
  expect(many.sources().map((source) => source.path)).toEqual([join(path, '../b')]);
  expect(opensOf(`${path} `)).toEqual([]);
  many.close();
});

test('one that is kept for a successor is let go once its directory is removed', async () => {
  const { many, path } = await withOneDead('wait');
  const next = nextOf(many);
  rmSync(dirname(path), { recursive: true });
  await expect(next).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', path: dirname(path) });
  expect(many.sources()).toEqual([]);
  expect(opensOf(`${path} `)).toEqual([]);
  many.close();
});
