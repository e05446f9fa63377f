import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

const disk = join(newDirectory(), 'disk');
mkdirSync(disk);
// Mounting takes root, and a container may refuse it even then.
const mounted =
  process.getuid?.() === 0 &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0;

test.skipIf(!mounted)('repair on a full disk says what it lacks, and leaves all as it was', async () => {
  onTestFinished(() => void spawnSync('umount', ['-l', disk]));
  const directory = join(disk, 'log');
  const log = await Log.open(directory, { segment: '64KiB', sync: 'none' });
  log.append('one');
  await log.cursor('name').set(1);
  await log.close();
  const cursors = join(directory, 'cursors.mr');
  truncateSync(cursors, statSync(cursors).size - 256);
  const before = readFileSync(cursors);
  const ballast = join(disk, 'ballast');
  writeFileSync(ballast, Buffer.alloc(1 << 20));
  const names = readdirSync(directory);
  // Room for the note that says why, and for a part of the copy.
  const full = spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096', 'oflag=append', 'conv=notrunc']);
  expect(full.status).toBe(1);
  truncateSync(ballast, statSync(ballast).size - 5 * 4096);
  expect(await failure(() => Log.repair(directory))).toMatchObject({
    code: 'ERR_NO_SPACE',
    path: join(directory, 'set-aside'),
    needed: before.length + 4096,
  });
  expect(readdirSync(directory).filter((name) => !names.includes(name))).toEqual(['set-aside']);
  expect(readdirSync(join(directory, 'set-aside'))).toEqual([]);
  expect(readFileSync(cursors).equals(before)).toBe(true);
  rmSync(ballast);
  const { setAside } = await Log.repair(directory);
  expect(setAside.map(({ name }) => name)).toEqual(['cursors.mr']);
  expect(readFileSync(setAside[0].path).equals(before)).toBe(true);
});
