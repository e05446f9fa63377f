import { lstatSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { CursorMapping } from '../../lib/log/cursors/cursor-mapping.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { closingAll, openFile, pathIn } from './cursor-files.js';

closingAll();

test('a file whose name leads nowhere is refused, and made once the name is free', async () => {
  const { directory, file, cursor } = openFile();
  symlinkSync(join(directory, 'nowhere'), pathIn(directory));
  expect([cursor('one').get(), file.list()]).toEqual([undefined, []]);
  const refused = await failure(() => cursor('one').set(1));
  expect(refused).toMatchObject({ code: 'ERR_FORMAT', path: pathIn(directory) });
  expect(refused.message).toContain('leads nowhere');
  expect(lstatSync(pathIn(directory)).isSymbolicLink()).toBe(true);
  rmSync(pathIn(directory));
  await cursor('one').set(2);
  expect(cursor('one').get()).toBe(2);
});

test('a file whose name leads to another directory is that', async () => {
  const elsewhere = openFile();
  await elsewhere.cursor('one').set(1);
  const { directory, cursor } = openFile(newDirectory());
  symlinkSync(pathIn(elsewhere.directory), pathIn(directory));
  await cursor('one').set(2);
  expect(elsewhere.cursor('one').get()).toBe(2);
});

test('one that another one makes is waited for as long as the caller says', async () => {
  const { cursor } = openFile();
  const create = vi.spyOn(CursorMapping, 'create').mockImplementation(async () => {
    await new Promise(setImmediate);
    return undefined;
  });
  expect(await failure(() => cursor('one').set(1, { timeoutMs: 5 }))).toMatchObject({ code: 'ERR_TIMEOUT' });
  const gone = new AbortController();
  const aborted = failure(() => cursor('one').set(1, { signal: gone.signal }));
  await vi.waitFor(() => expect(create).toHaveBeenCalledTimes(2));
  gone.abort();
  expect(await aborted).toMatchObject({ code: 'ERR_ABORTED' });
});
