import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Writer } from '../../lib/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { mortal } from '../helpers/crash.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

afterEach(endAll);

test('who may open no more files is told so, from the first call on, and goes on once there are some', async () => {
  const { writer, crash } = await mortal(() => Writer.create(newPath(), { capacity: '64KiB' }));
  writer.write('x');
  crash();
  const directory = newDirectory();
  const by = ['bash', '-c', 'ulimit -n 128 && exec "$0" "$@"'];
  const child = new Child(
    '../../channel/fixtures/out-of-files-child.js',
    { dead: writer.path, directory },
    { by },
  );
  const { short, later } = await child.expect('outcome');
  const refused = ['MillraceError', 'ERR_SYSTEM', 'EMFILE'];
  expect(short).toEqual(Array(5).fill(refused));
  expect(later).toEqual(Array(5).fill('went well'));
  expect(existsSync(join(directory, 'synced'))).toBe(true);
  await child.exit;
  child.throwIfFailed();
});
