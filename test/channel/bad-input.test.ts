import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { refuseFileSystem } from '../../lib/channel/runtime/system.js';
import { inspect, openAll, Reader, verify, Writer } from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { deadChannel, OPENERS, put, sign } from './broken-channels.js';

describe.each(Object.entries(OPENERS))('%s', (name, open) => {
  test('says which path has nothing', async () => {
    if (name.startsWith('Writer.create')) return;
    for (const path of [newPath(), join(newPath(), 'below', 'nothing'), join(put('a file'), 'below')]) {
      expect(await failure(() => open(path))).toMatchObject({ code: 'ERR_NOT_FOUND', path });
    }
  });

  test('refuses what is empty, foreign or no file', async () => {
    const directory = newDirectory();
    const fifo = newPath();
    expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
    const files: [string, string][] = [
      [put(''), 'ERR_TRUNCATED'],
      [put('MIL'), 'ERR_TRUNCATED'],
      [put('abc'), 'ERR_FORMAT'],
      [put('MILLRAC!'), 'ERR_FORMAT'],
      [put('MILLRAX'), 'ERR_FORMAT'],
      [put('not a channel, but a text'), 'ERR_FORMAT'],
      [put(Buffer.alloc(100_000)), 'ERR_FORMAT'],
      [put(Buffer.alloc(100_000, 'MILLRACX')), 'ERR_FORMAT'],
      [put(Buffer.alloc(100_000, 'MILLRACE')), 'ERR_FORMAT'],
      [directory, 'ERR_FORMAT'],
      [fifo, 'ERR_FORMAT'],
    ];
    if (!name.startsWith('Writer.create')) files.push(['/dev/null', 'ERR_FORMAT']);
    for (const [path, code] of files) {
      const error = await failure(() => open(path));
      expect([path, error.code, error.path]).toEqual([path, code, path]);
      expect(error.message).toContain(path);
    }
  });

  test('refuses what was cut off anywhere', async () => {
    const whole = await deadChannel();
    const path = put(whole);
    const lengths = [
      whole.length - 1,
      whole.length - 16,
      whole.length - 65536,
      16384,
      12288,
      8193,
      8192,
      8191,
      4352,
    ];
    lengths.push(4097, 4096, 4095, 1000, 513, 256, 255, 176, 100, 50, 32, 16, 9, 8, 7, 4, 1, 0);
    for (const length of lengths) {
      truncateSync(path, length);
      const error = await failure(() => open(path));
      expect([length, error.code, error.path]).toEqual([length, 'ERR_TRUNCATED', path]);
      // What is left says how long it was, or only which part of it is missing.
      const parts = [4096, 4096 + 2 * 128 + 4096, whole.length];
      const expected = parts.find((end) => length < end);
      expect(error).toMatchObject({ size: length, expected });
    }
    const longer = put(Buffer.concat([whole, Buffer.alloc(16)]));
    expect(await failure(() => open(longer))).toMatchObject({ code: 'ERR_FORMAT', path: longer });
  });

  test('refuses what a later version may have made, and says what it met', async () => {
    const bytes = await deadChannel();
    const change = (at: number, value: number) => {
      const changed = Buffer.from(bytes);
      changed.writeInt32LE(value, at);
      return put(sign(changed));
    };
    const newer = await failure(() => open(change(L.FORMAT_MAJOR_OFFSET, 2)));
    expect(newer).toMatchObject({ code: 'ERR_FORMAT', format: 2 });
    expect(newer.message).toMatch(/format 2.*format 1/);
    for (const feature of [1, 2, 0x4000_0000, -0x8000_0000]) {
      const error = await failure(() => open(change(L.INCOMPATIBLE_OFFSET, feature)));
      expect(error).toMatchObject({ code: 'ERR_FORMAT', features: feature >>> 0 });
    }
    // Signed, but no such thing can be.
    for (const [at, value] of [
      [L.ENDIAN_OFFSET, 0x04030201],
      [L.MODE_OFFSET, 0],
      [L.MODE_OFFSET, 3],
      [L.FRAME_HEADER_OFFSET, 24],
      [L.CAPACITY_OFFSET, 0],
      [L.CAPACITY_OFFSET, -65536],
      [L.CAPACITY_OFFSET, 65537],
      [L.CAPACITY_OFFSET, 32768],
      [L.DATA_OFFSET_OFFSET, 0],
      [L.READERS_OFFSET_OFFSET, 8192],
      [L.READER_SLOTS_OFFSET, -1],
      [L.READER_SLOTS_OFFSET, 1025],
      [L.METADATA_LENGTH_OFFSET, 4097],
      [L.METADATA_LENGTH_OFFSET, -1],
      [L.METADATA_LENGTH_OFFSET, 3],
      [L.MARKS_OFFSET_OFFSET, 0],
      [L.MARK_COUNT_OFFSET, 0],
      [L.MARK_STRIDE_OFFSET, 0],
      [L.MAX_RECORD_OFFSET, 8193],
      [L.MAX_RECORD_OFFSET, -1],
      [L.BASE_POSITION_OFFSET, 8],
    ]) {
      const error = await failure(() => open(change(at, value)));
      expect([at, value, error.code]).toEqual([at, value, 'ERR_FORMAT']);
    }
  });

  test('refuses metadata that is no object, though it is signed', async () => {
    const bytes = await deadChannel();
    const metadata = bytes.readInt32LE(L.METADATA_OFFSET_OFFSET);
    for (const json of ['null', '7', '"text"', 'true', '[]']) {
      const changed = Buffer.from(bytes);
      changed.writeInt32LE(
        changed.fill(0, metadata, metadata + 4096).write(json, metadata),
        L.METADATA_LENGTH_OFFSET,
      );
      const path = put(sign(changed));
      const error = await failure(() => open(path));
      expect([json, error.code, error.path]).toEqual([json, 'ERR_FORMAT', path]);
    }
  });
});

test('a feature that is called compatible, and a later minor version, are accepted', async () => {
  const bytes = await deadChannel();
  bytes.writeInt32LE(-1, L.COMPATIBLE_OFFSET);
  bytes.writeInt32LE(7, L.FORMAT_MINOR_OFFSET);
  const path = put(sign(bytes));
  expect(inspect(path)).toMatchObject({ status: 'dead', metadata: { kind: 'orders' } });
  using reader = await Reader.open(path, { from: 'oldest' });
  expect(reader.read()?.data.toString()).toBe('one');
  using writer = await Writer.resume(path);
  writer.write('two');
  expect(reader.read()?.data.toString()).toBe('two');
});

test('no damaged byte of the static part or the metadata goes unnoticed', async () => {
  const bytes = await deadChannel();
  const metadata = bytes.readInt32LE(L.METADATA_OFFSET_OFFSET);
  const path = newPath();
  const places = Array.from({ length: L.STATIC_BYTES }, (_, at) => at);
  for (let at = 0; at < L.METADATA_BYTES; at++) places.push(metadata + at);
  writeFileSync(path, bytes);
  expect(inspect(path).status).toBe('dead');
  const file = openSync(path, 'r+');
  for (const at of places) {
    writeSync(file, Buffer.from([bytes[at] ^ (1 << (at % 8))]), 0, 1, at);
    const { code } = thrown(() => inspect(path));
    if (code !== 'ERR_FORMAT' && code !== 'ERR_TRUNCATED') expect([at, code]).toEqual([at, 'ERR_FORMAT']);
    writeSync(file, bytes, at, 1, at);
  }
  closeSync(file);
  expect(inspect(path).status).toBe('dead');
});

test('nothing that is there is ever overwritten but a dead or ended channel', async () => {
  const foreign = put('precious');
  for (const replace of [false, true]) {
    const { code } = await failure(() => Writer.create(foreign, { capacity: '64KiB', replace }));
    expect(code).toBe(replace ? 'ERR_FORMAT' : 'ERR_EXISTS');
    expect(readFileSync(foreign, 'utf8')).toBe('precious');
  }
  const dangling = newPath();
  symlinkSync('/nowhere/at/all', dangling);
  expect(await failure(() => Writer.create(dangling, { capacity: '64KiB' }))).toMatchObject({
    code: 'ERR_EXISTS',
    path: dangling,
    errno: -17,
    syscall: 'linkat',
  });
  const directory = newDirectory();
  expect((await failure(() => Writer.create(directory, { capacity: '64KiB' }))).code).toBe('ERR_EXISTS');
  const missing = join(newDirectory(), 'none', 'channel');
  expect((await failure(() => Writer.create(missing))).code).toBe('ERR_NOT_FOUND');
});

test('a path that begins in a working directory that is gone leads to nothing', async () => {
  const before = process.cwd();
  const gone = newDirectory();
  process.chdir(gone);
  rmdirSync(gone);
  try {
    const openers = { ...OPENERS, openAll: (path: string) => openAll([path]), verify };
    for (const open of Object.values(openers)) {
      expect(await failure(() => open('channel'))).toMatchObject({ code: 'ERR_NOT_FOUND', path: 'channel' });
    }
  } finally {
    process.chdir(before);
  }
});

test('without a free slot the error names who has them', async () => {
  using writer = await Writer.create(newPath(), { capacity: 65536, readers: 2 });
  using first = await Reader.open(writer.path, { name: 'billing' });
  using second = await Reader.open(writer.path, { name: 'audit', gate: false });
  for (const gate of [undefined, true, { evictAfterMs: 5 }]) {
    const error = await failure(() => Reader.open(writer.path, { gate }));
    expect(error).toMatchObject({
      code: 'ERR_NO_READER_SLOT',
      path: writer.path,
      holders: [
        { name: 'billing', pid: process.pid },
        { name: 'audit', pid: process.pid },
      ],
    });
    expect(error.message).toMatch(/billing \(pid \d+\), audit \(pid \d+\)/);
  }
  using unseen = await Reader.open(writer.path, { gate: false, from: 'oldest' });
  writer.write('x');
  expect(unseen.read()?.data.toString()).toBe('x');
  first.close();
  using _third = await Reader.open(writer.path);
  expect(second.status).toBe('alive');
  using none = await Writer.create(newPath(), { capacity: 65536, readers: 0 });
  expect(await failure(() => Reader.open(none.path))).toMatchObject({
    code: 'ERR_NO_READER_SLOT',
    holders: [],
  });
  using _fourth = await Reader.open(none.path, { gate: false });
});

test('file systems where sharing can not be trusted are refused by their magic numbers', async () => {
  for (const path of ['/proc/channel', '/proc/self/channel', '/sys/channel']) {
    const error = await failure(() => Writer.create(path));
    expect([path, error.code]).toEqual([path, 'ERR_FILESYSTEM']);
    expect(error.path).toBe(dirname(path));
  }
  expect((await failure(() => Reader.open('/proc/self/status'))).code).toBe('ERR_FILESYSTEM');
  // From linux/magic.h and the file systems' own sources.
  const refused = {
    NFS: 0x6969,
    SMB: 0x517b,
    CIFS: 0xff534d42,
    SMB2: 0xfe534d42,
    '9p': 0x01021997,
    FUSE: 0x65735546,
    Ceph: 0x00c36400,
    AFS: 0x5346414f,
    Coda: 0x73757245,
    GFS2: 0x01161970,
    OCFS2: 0x7461636f,
    Lustre: 0x0bd00bd0,
    vboxsf: 0x786f4256,
  };
  for (const [name, magic] of Object.entries(refused)) {
    for (const number of [magic, magic | 0]) {
      const error = thrown(() => refuseFileSystem(number, '/mnt/x'));
      expect(error).toMatchObject({ code: 'ERR_FILESYSTEM', path: '/mnt/x', fileSystem: name });
      expect(error.message).toContain(name);
    }
  }
  const trusted = [
    0x01021994, 0x858458f6, 0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0x794c7630, 0xf2f52010,
  ];
  for (const magic of trusted) refuseFileSystem(magic, '/mnt/x');
});

test('a copy of a live channel is a dead one: the lock is the file, not the name', async () => {
  using writer = await Writer.create(newPath(), { capacity: 65536 });
  writer.write('x');
  const copy = newPath();
  copyFileSync(writer.path, copy);
  expect([inspect(writer.path).status, inspect(copy).status]).toEqual(['alive', 'dead']);
  mkdirSync(`${copy}.d`);
  const link = join(`${copy}.d`, 'link');
  symlinkSync(writer.path, link);
  expect(inspect(link)).toMatchObject({ status: 'alive', path: link });
});
