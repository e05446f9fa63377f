import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { inspect, Reader, Writer } from '../../lib/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { millrace, objectsOf } from './command.js';
import { closedLog } from './log.js';

test('makes a ring that a writer goes on with', async () => {
  const path = newPath();
  expect(await millrace('create', path)).toEqual({
    code: 0,
    stdout: `made ${path}: ring, 8 MiB, records of 1 MiB at most\n`,
    stderr: '',
  });
  expect(inspect(path)).toMatchObject({ mode: 'ring', status: 'dead', records: 0, timestamps: false });
  using reader = await Reader.open(path, { from: 'oldest' });
  using writer = await Writer.resume(path);
  writer.write('one');
  expect(reader.read()?.data.toString()).toBe('one');
  expect(readdirSync(join(path, '..'))).toHaveLength(1);
});

test('with all that a channel can be made with', async () => {
  const path = newPath();
  const umask = process.umask(0o022);
  onTestFinished(() => void process.umask(umask));
  const metadata = { unit: 'EUR' };
  const { code, stdout, stderr } = await millrace(
    ...['create', path, '--mode', 'linear', '--size', '64KiB', '--max-record', '1KiB', '--readers', '3'],
    ...['--timestamps', '--checksum', 'crc32c', '--sync', '250', '--metadata', JSON.stringify(metadata)],
    ...['--heartbeat', '100', '--stalled-after', '700', '--file-mode', '640', '--json'],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const design = {
    mode: 'linear',
    capacity: 65536,
    maxRecord: 1024,
    readerSlots: 3,
    timestamps: true,
    checksum: 'crc32c',
    sync: { everyMs: 250 },
    metadata,
  };
  const { fileBytes, channelId, ...info } = inspect(path);
  expect(info).toMatchObject({ ...design, heartbeatMs: 100, stalledAfterMs: 700 });
  expect(objectsOf(stdout)).toEqual([{ path, ...design, fileBytes, channelId }]);
  expect(statSync(path).mode & 0o777).toBe(0o640);
});

describe('what has the name already', () => {
  test('stays, unless it is to be replaced; then who reads it reads it to its end', async () => {
    const path = newPath();
    const first = await Writer.create(path, { capacity: '64KiB' });
    first.write('first');
    const before = readFileSync(path);
    const live = await millrace('create', path, '--replace');
    expect(live).toMatchObject({ code: 1, stdout: '' });
    expect(live.stderr).toMatch(
      new RegExp(`has a live writer, pid ${process.pid}; [^\n]+\\(ERR_WRITER_ACTIVE\\)\n$`),
    );
    const there = await millrace('create', path);
    expect(there).toMatchObject({ code: 1, stdout: '' });
    expect(there.stderr).toBe(
      `millrace: ${path} exists already; millrace write ${path} goes on with it where its writer is dead, and --replace ` +
        'takes its place (ERR_EXISTS)\n',
    );
    expect(readFileSync(path).subarray(-65536).equals(before.subarray(-65536))).toBe(true);
    first.close();
    using reader = await Reader.open(path, { from: 'oldest' });
    expect((await millrace('create', path, '--replace', '--size', '128KiB')).code).toBe(0);
    expect(inspect(path)).toMatchObject({ capacity: 131_072, records: 0 });
    expect([reader.read()?.data.toString(), reader.ended]).toEqual(['first', true]);
  });
});

describe('what is no channel has the name, with or without --replace', () => {
  test.each([[], ['--replace']])('%j', async (...options) => {
    const directory = newDirectory();
    const file = join(directory, 'notes.txt');
    writeFileSync(file, 'mine');
    for (const [path, said] of [
      [directory, 'is a directory: name a file in it, which is made'],
      [file, 'is there already and is no channel: choose another name'],
    ]) {
      expect(await millrace('create', path, ...options)).toEqual({
        code: 1,
        stdout: '',
        stderr: `millrace: ${path} ${said} (ERR_EXISTS)\n`,
      });
    }
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  test('a log’s directory has no place for a channel', async () => {
    const directory = await closedLog(['one']);
    const before = readdirSync(directory);
    expect(await millrace('create', join(directory, 'channel'))).toEqual({
      code: 1,
      stdout: '',
      stderr:
        `millrace: ${directory} is the directory of a log, which has no place for a channel: ` +
        'choose a path outside of it (ERR_FORMAT)\n',
    });
    expect(readdirSync(directory)).toEqual(before);
  });
});

describe('wrong use ends with 2, and makes nothing', () => {
  test.each([
    [[], 'which channel?'],
    [['--size', 'much'], "--size must be a number of bytes or a string such as '64KiB'"],
    [['--size', '100KiB'], 'a power of two from 64KiB to 1GiB'],
    [['--mode', 'round'], "--mode takes ring or linear, not 'round'"],
    [['--max-record', '1MiB', '--size', '64KiB'], '--max-record may be at most 8192 bytes'],
    [['--readers', '1025'], '--readers must be a whole number from 0 to 1024'],
    [['--checksum', 'md5'], "--checksum takes none or crc32c, not 'md5'"],
    [['--sync', '100'], 'sync is not for rings'],
    [['--mode', 'linear', '--sync', 'often'], '--sync takes none, commit or milliseconds'],
    [['--metadata', '{'], '--metadata takes an object in JSON'],
    [['--metadata', 'null'], '--metadata takes an object in JSON'],
    [['--metadata', '[1]'], 'metadata must be an object'],
    [['--heartbeat', '0'], 'a whole number from 1 up'],
    [['--heartbeat', '70000'], '--heartbeat must be a whole number from 1 to 60000, not 70000'],
    [['--mode', 'linear', '--sync', '0'], '--sync must be a whole number from 1 to 3600000, not 0'],
    [
      ['--heartbeat', '10000', '--stalled-after', '2000'],
      '--stalled-after must be at least twice --heartbeat, which is 10000, not 2000',
    ],
    [['--stalled-after', '300'], 'twice --heartbeat, which is 250, not 300'],
    [['--file-mode', '9'], 'such as 640'],
  ])('%j', async (options, hint) => {
    const path = newPath();
    const { code, stdout, stderr } = await millrace(
      'create',
      ...(options.length === 0 ? [] : [path]),
      ...options,
    );
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^millrace: create: [^\n]+ - see: millrace help create\n$/);
    expect(stderr).toContain(hint);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });
});

test('a directory that is not there', async () => {
  const { code, stderr } = await millrace('create', join(newDirectory(), 'missing', 'channel'));
  expect(code).toBe(1);
  expect(stderr).toMatch(/it is not there; make its directory first \(ERR_NOT_FOUND\)\n$/);
});

const DISK = newDirectory();
const isRoot = process.getuid?.() === 0;
const isMounted = isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', DISK]).status === 0;

describe.skipIf(!isMounted)('on a disk of 1 MiB (needs root, to mount one)', () => {
  afterAll(() => {
    spawnSync('umount', ['-l', DISK]);
  });

  test('what has no room leaves nothing behind', async () => {
    const { code, stdout, stderr } = await millrace('create', join(DISK, 'channel'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^millrace: No space for [^\n]+\(ERR_NO_SPACE\)\n$/);
    expect(readdirSync(DISK)).toEqual([]);
  });
});
