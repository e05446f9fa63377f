import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openAll, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { newDirectory } from '../helpers/run-directory.js';

async function withOneDead(onDeath: 'throw' | 'skip') {
  const directory = newDirectory();
  const path = join(directory, 'a');
  const { writer, crash } = await mortal(() => Writer.create(path, { capacity: '64KiB', heartbeatMs: 20 }));
  const many = await openAll(directory, { from: 'oldest', onDeath, deadAfterMs: 0 });
  writer.write('before');
  expect((await nextOf(many)).toString()).toBe('before');
  crash();
  return { many, path };
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

  test('one that is removed then is let go', async () => {
    const { many, path } = await withOneDead(onDeath);
    const next = nextOf(many);
    if (onDeath === 'throw') await expect(next).rejects.toMatchObject({ code: 'ERR_WRITER_DEAD' });
    const following = onDeath === 'throw' ? nextOf(many) : next;
    rmSync(path);
    using other = await Writer.create(join(path, '../b'), { capacity: '64KiB' });
    other.write('of another');
    expect((await following).toString()).toBe('of another');
    expect(many.sources().find((source) => source.path === path)).toMatchObject({ ended: true });
    expect(opensOf(`${path} `)).toEqual([]);
    many.close();
  });
});
