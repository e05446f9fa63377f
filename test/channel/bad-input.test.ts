import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { refuseFileSystem } from '../../lib/channel/system.js';
import { type ChannelOptions, declareAbandoned, inspect, Reader, shmPath, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { mappingsIn, until } from '../native/addon.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong types are the point.
type Wrong = any;

/** Everything that opens what is there. Each gives the same answer to what is no channel. */
const OPENERS: Record<string, (path: string) => unknown> = {
  'Reader.open': (path) => Reader.open(path),
  'Reader.open, observing': (path) => Reader.open(path, { gate: false, register: false }),
  'Writer.resume': (path) => Writer.resume(path),
  inspect,
  declareAbandoned,
  'Writer.create with replace': (path) => Writer.create(path, { capacity: '64KiB', replace: true }),
};

/** The bytes of a dead channel: every opener would have something to do with it. */
async function deadChannel(options: ChannelOptions = {}): Promise<Buffer> {
  const path = newPath();
  const { writer, crash } = await mortal(() =>
    Writer.create(path, { capacity: '64KiB', readers: 2, metadata: { kind: 'orders' }, ...options }),
  );
  writer.write('one');
  crash();
  return readFileSync(path);
}

function sign(bytes: Buffer): Buffer {
  bytes.writeInt32LE(0, L.STATIC_CRC_OFFSET);
  const crc = binding().crc32c(bytes, 0, L.STATIC_BYTES, 0);
  const metadata = bytes.readInt32LE(L.METADATA_OFFSET_OFFSET);
  bytes.writeInt32LE(
    binding().crc32c(bytes, metadata, metadata + L.METADATA_BYTES, crc),
    L.STATIC_CRC_OFFSET,
  );
  return bytes;
}

function put(bytes: Buffer | string): string {
  const path = newPath();
  writeFileSync(path, bytes);
  return path;
}

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
      expect(error.size).toBe(length);
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
  });
  const directory = newDirectory();
  expect((await failure(() => Writer.create(directory, { capacity: '64KiB' }))).code).toBe('ERR_EXISTS');
  const missing = join(newDirectory(), 'none', 'channel');
  expect((await failure(() => Writer.create(missing))).code).toBe('ERR_NOT_FOUND');
});

describe('arguments', () => {
  test('a path must be a string that is not empty and has no NUL', async () => {
    const openers = { ...OPENERS, 'Writer.create': (path: string) => Writer.create(path) };
    for (const open of Object.values(openers)) {
      for (const path of [
        '',
        'a\0b',
        undefined,
        null,
        7,
        {},
        [],
        Buffer.from('x'),
        new URL('file:///tmp/x'),
      ]) {
        expect((await failure(() => open(path as Wrong))).code).toBe('ERR_INVALID_ARGUMENT');
      }
    }
    for (const name of ['', '.', '..', 'a/b', 'a b', 'x'.repeat(201), 7, undefined]) {
      expect(thrown(() => shmPath(name as Wrong)).code).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(shmPath('a-b_c.1')).toMatch(/\/a-b_c\.1$/);
  });

  const TYPOS: [string, string, (options: Wrong) => unknown][] = [
    ['capasity', 'capacity', (options) => Writer.create(newPath(), options)],
    ['maxrecord', 'maxRecord', (options) => Writer.create(newPath(), options)],
    ['timestamp', 'timestamps', (options) => Writer.create(newPath(), options)],
    ['heartBeatMs', 'heartbeatMs', (options) => Writer.create(newPath(), options)],
    ['replce', 'replace', (options) => Writer.create(newPath(), options)],
    ['form', 'from', (options) => Reader.open(newPath(), options)],
    ['onlost', 'onLost', (options) => Reader.open(newPath(), options)],
    ['deadAfter', 'deadAfterMs', (options) => Reader.open(newPath(), options)],
    ['timeout', 'timeoutMs', (options) => Reader.open(newPath(), options)],
    ['codecs', 'codec', (options) => Writer.resume(newPath(), options)],
    ['evictAfter', 'evictAfterMs', (gate) => Reader.open(newPath(), { gate })],
  ];
  test.each(TYPOS)('the misspelt option %s is refused, and %s is named', async (wrong, right, use) => {
    const error = await failure(() => use({ [wrong]: 1 }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', option: wrong, meant: right });
    expect(error.message).toContain(`'${wrong}'`);
    expect(error.message).toContain(`'${right}'`);
  });

  test('misspelt options of methods, and options that are none, are refused', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    for (const use of [
      () => writer.write('x', { typ: 1 } as Wrong),
      () => writer.send('x', { typ: 1 } as Wrong),
      () => writer.ready({ byte: 1 } as Wrong),
      () => reader.poll(() => {}, { limits: 1 } as Wrong),
      () => reader.batches({ maximum: 1 } as Wrong).next(),
      () => reader.seek({ record: 0, recrod: 1 } as Wrong),
      () => Reader.open(writer.path, [] as Wrong),
      () => Reader.open(writer.path, 'oldest' as Wrong),
      () => Reader.open(writer.path, null as Wrong),
      () => Writer.create(newPath(), 'ring' as Wrong),
      () => Writer.create(newPath(), null as Wrong),
      () => Writer.resume(newPath(), 7 as Wrong),
    ]) {
      expect([String(use), (await failure(use)).code]).toEqual([String(use), 'ERR_INVALID_ARGUMENT']);
    }
    expect(writer.position).toBe(0);
  });

  const NO_NUMBERS = ['1', -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, {}, [1], true, 1n, Symbol('x')];
  const NO_SIZES = [-1, 1.5, Number.NaN, '', '1 TiB', '-1', '1e3', '1.5.5KiB', 'KiB', {}, [65536], true];
  const NO_FLAGS = [0, 1, 'true', '', {}];
  const WRITER_OPTIONS: Record<string, readonly unknown[]> = {
    mode: ['rings', '', 0, {}, ['ring']],
    capacity: [...NO_SIZES, 0, 1, 65535, 65537, 32768, '96KiB', '2GiB', 2 ** 31, '0.3KiB'],
    maxRecord: [...NO_SIZES, 8193, '9KiB'],
    readers: [...NO_NUMBERS, 1025],
    timestamps: NO_FLAGS,
    replace: NO_FLAGS,
    heartbeatMs: [...NO_NUMBERS, 0, 60_001],
    stalledAfterMs: [...NO_NUMBERS, 0, 3_600_001],
    fileMode: [...NO_NUMBERS, 0o1000],
    metadata: ['{}', 7, [], true, { x: 'y'.repeat(4096) }, { x: 1n }],
    codec: [7, 'json', {}, { encode: 1, decode: 2 }],
  };
  test.each(Object.keys(WRITER_OPTIONS))('Writer.create refuses a wrong %s', async (option) => {
    for (const wrong of WRITER_OPTIONS[option]) {
      const path = newPath();
      const error = await failure(() => Writer.create(path, { capacity: 65536, [option]: wrong } as Wrong));
      expect([wrong, error.code]).toEqual([wrong, 'ERR_INVALID_ARGUMENT']);
      expect(error.message).toContain(option);
      expect(existsSync(path)).toBe(false);
    }
  });

  test('a linear channel has sizes of its own', async () => {
    for (const capacity of [4096, 12288, 16385, 20481, 2 ** 30 + 4096]) {
      const error = await failure(() => Writer.create(newPath(), { mode: 'linear', capacity }));
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', capacity });
    }
    const tooLarge = { mode: 'linear', capacity: 16384, maxRecord: 4097 } as const;
    expect(await failure(() => Writer.create(newPath(), tooLarge))).toMatchObject({ size: 4097, max: 4096 });
  });

  const READER_OPTIONS: Record<string, readonly unknown[]> = {
    from: [
      'newest',
      '',
      -1,
      1.5,
      Number.NaN,
      true,
      {},
      [],
      { recrod: 1 },
      { record: -1 },
      { record: '1' },
      { time: 1 },
    ],
    gate: [
      'true',
      0,
      1,
      '',
      null,
      [],
      {},
      ...NO_NUMBERS.map((evictAfterMs) => ({ evictAfterMs })),
      { evictAfterMs: 0 },
    ],
    onLost: ['ignore', '', 0, true],
    onDeath: ['die', '', 0, true],
    deadAfterMs: NO_NUMBERS,
    name: [7, {}, 'x'.repeat(65), '√'.repeat(22)],
    idle: ['park it', '', 0],
    wait: NO_FLAGS,
    register: NO_FLAGS,
    timeoutMs: ['1', -1, Number.NaN, {}, [1], true, 1n],
    signal: [7, 'x', {}],
    codec: [7, 'json', {}, { encode: () => '' }],
  };
  test.each(Object.keys(READER_OPTIONS))('Reader.open refuses a wrong %s', async (option) => {
    using writer = await Writer.create(newPath(), { capacity: 65536, readers: 1 });
    for (const wrong of READER_OPTIONS[option]) {
      const error = await failure(() => Reader.open(writer.path, { [option]: wrong } as Wrong));
      expect([wrong, error.code]).toEqual([wrong, 'ERR_INVALID_ARGUMENT']);
      expect(writer.readers()).toEqual([]);
    }
    // What failed left nothing behind: the one slot is free.
    using _ = await Reader.open(writer.path);
  });

  test('methods refuse wrong arguments, and nothing is written or read by it', async () => {
    using writer = await Writer.create(newPath(), { capacity: 65536, timestamps: true });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    const refused = async (use: () => unknown) => {
      const error = await failure(use);
      expect([String(use), error.code]).toEqual([String(use), 'ERR_INVALID_ARGUMENT']);
    };
    const noData = [undefined, null, 7, true, {}, { data: 'x' }, [7], [['x']], new ArrayBuffer(3), [null]];
    for (const data of [...noData, new Uint16Array(3), new DataView(new ArrayBuffer(3))] as Wrong[]) {
      await refused(() => writer.write(data));
      await refused(() => writer.tryWrite(data));
      await refused(() => writer.send(data));
    }
    for (const records of [
      [undefined],
      ['a', 7],
      [{ data: 7 }],
      [{ dta: 'x' }],
      'x',
      7,
      undefined,
      {},
    ] as Wrong[]) {
      await refused(() => writer.writeBatch(records));
    }
    for (const wrong of [...NO_NUMBERS, 65536] as Wrong[]) {
      await refused(() => writer.write('x', { type: wrong }));
      await refused(() => writer.tryWrite('x', wrong));
      await refused(() => writer.send('x', { type: wrong }));
      await refused(() => writer.claim(3, wrong));
      await refused(() => writer.writeBatch(['a', { data: 'b', type: wrong }]));
    }
    for (const tag of [...NO_NUMBERS, 2 ** 53] as Wrong[]) {
      await refused(() => writer.write('x', { tag }));
      await refused(() => writer.writeBatch(['a', { data: 'b', tag }]));
    }
    for (const timestamp of [
      'now',
      {},
      { us: -1 },
      { us: 1.5 },
      { us: '1' },
      new Date(Number.NaN),
      -1,
      Number.NaN,
      null,
      [],
    ]) {
      await refused(() => writer.write('x', { timestamp: timestamp as Wrong }));
      await refused(() => writer.writeBatch([{ data: 'b', timestamp: timestamp as Wrong }]));
      await refused(() => reader.seek({ time: timestamp as Wrong }));
    }
    for (const wrong of NO_NUMBERS as Wrong[]) {
      await refused(() => writer.claim(wrong));
      await refused(() => writer.ready({ bytes: wrong }));
      await refused(() => reader.readBatch(wrong));
      if (wrong !== Number.POSITIVE_INFINITY) await refused(() => reader.poll(() => {}, { limit: wrong }));
      await refused(() => reader.batches({ max: wrong }).next());
      await refused(() => reader.seek({ record: wrong }));
    }
    for (const handler of [undefined, null, 7, 'x', {}] as Wrong[]) await refused(() => reader.poll(handler));
    expect(writer.position).toBe(0);
    writer.write('after it all');
    expect(reader.read()).toMatchObject({ position: 0, record: 0, data: Buffer.from('after it all') });
  });

  test('tags and timestamps need a channel that has them', async () => {
    using writer = await Writer.create(newPath(), { capacity: 65536 });
    for (const options of [{ tag: 1 }, { timestamp: 1 }, { tag: 0 }]) {
      for (const use of [
        () => writer.write('x', options),
        () => writer.send('x', options),
        () => writer.writeBatch(['a', { data: 'x', ...options }]),
      ]) {
        const error = await failure(use);
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: writer.path });
        expect(error.message).toContain(Object.keys(options)[0]);
      }
    }
    expect(writer.position).toBe(0);
  });

  test('claims are of one use, and one at a time', async () => {
    using writer = await Writer.create(newPath(), { capacity: 65536 });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    const claim = writer.claim(10);
    if (claim === undefined) throw new Error('No claim');
    for (const use of [
      () => writer.write('x'),
      () => writer.tryWrite('x'),
      () => writer.writeBatch(['x']),
      () => writer.claim(1),
      () => writer.send('x'),
      () => writer.ready(),
    ]) {
      expect(await failure(use)).toMatchObject({ code: 'ERR_BUSY', path: writer.path });
    }
    for (const used of [11, -1, 1.5, Number.NaN, '5', null] as Wrong[]) {
      expect(thrown(() => claim.commit(used)).code).toBe('ERR_INVALID_ARGUMENT');
    }
    claim.bytes.write('0123456789', claim.start);
    claim.commit(4);
    for (const use of [() => claim.commit(), () => claim.commit(1), () => claim.abort()]) {
      expect(thrown(use).code).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(reader.readBatch(9).map(({ data }) => data.toString())).toEqual(['0123']);
    writer.claim(5)?.abort();
    writer.write('on');
    expect(reader.readBatch(9).map(({ data }) => data.toString())).toEqual(['on']);
  });
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

const root = process.getuid?.() === 0;
const NOBODY = 65534;
const index = pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href;

/** Runs code as a user who may do nothing; what it returns comes back. */
function asNobody(code: string): Wrong {
  const run = `
    const { declareAbandoned, inspect, Reader, Writer } = await import(${JSON.stringify(index)});
    const outcome = async (work) => {
      try { return await work(); } catch (error) { return { ...error, message: error.message }; }
    };
    console.log(JSON.stringify(await (async () => { ${code} })()));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', run], {
    uid: NOBODY,
    gid: NOBODY,
    cwd: '/',
    encoding: 'utf8',
    env: {},
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

describe.skipIf(!root)('without permission (needs root, to drop it)', () => {
  let directory: string;

  beforeAll(() => {
    directory = newDirectory();
    for (const name of [directory, dirname(directory)]) chmodSync(name, 0o755);
  });

  test('a reader of a ring is told to observe, and can', async () => {
    const path = join(directory, 'readable');
    using writer = await Writer.create(path, { capacity: 65536, fileMode: 0o644 });
    writer.write('for all');
    const before = statSync(path).mtimeMs;
    const [refused, records, status, readers, resumed, abandoned] = asNobody(`
      const path = ${JSON.stringify(path)};
      const reader = await Reader.open(path, { gate: false, from: 'oldest' });
      return [
        await outcome(() => Reader.open(path)),
        reader.readBatch(10).map(({ data }) => data.toString()),
        reader.status,
        inspect(path).readers,
        await outcome(() => Writer.resume(path)),
        await outcome(() => declareAbandoned(path)),
      ];
    `);
    expect(refused).toMatchObject({ code: 'ERR_PERMISSION', path });
    expect(refused.message).toContain('gate: false');
    expect([records, status, readers]).toEqual([['for all'], 'alive', []]);
    for (const error of [resumed, abandoned]) expect(error).toMatchObject({ code: 'ERR_PERMISSION', path });
    expect(statSync(path).mtimeMs).toBe(before);
  });

  test('a linear channel is read as it is; one that may not be read is not', async () => {
    const path = join(directory, 'linear');
    using writer = await Writer.create(path, { mode: 'linear', capacity: 16384, fileMode: 0o644 });
    const secret = join(directory, 'secret');
    using _ = await Writer.create(secret, { capacity: 65536 });
    writer.write('for all');
    const [records, secrets, looked, created] = asNobody(`
      return [
        (await Reader.open(${JSON.stringify(path)})).readBatch(10).map(({ data }) => data.toString()),
        await outcome(() => Reader.open(${JSON.stringify(secret)}, { gate: false })),
        await outcome(() => inspect(${JSON.stringify(secret)})),
        await outcome(() => Writer.create(${JSON.stringify(join(directory, 'new'))})),
      ];
    `);
    expect(records).toEqual(['for all']);
    expect(secrets).toMatchObject({ code: 'ERR_PERMISSION', path: secret });
    expect(looked).toMatchObject({ code: 'ERR_PERMISSION', path: secret });
    expect(created).toMatchObject({ code: 'ERR_PERMISSION', path: join(directory, 'new') });
    expect(statSync(secret).mode & 0o777).toBe(0o600);
  });

  test('who may write the file may hold the writer back', async () => {
    const path = join(directory, 'writable');
    using writer = await Writer.create(path, { capacity: 65536 });
    chmodSync(path, 0o666);
    const states = asNobody(`
      const reader = await Reader.open(${JSON.stringify(path)}, { name: 'nobody' });
      return inspect(${JSON.stringify(path)}).readers.map(({ state, name }) => [state, name]);
    `);
    expect(states).toEqual([['gating', 'nobody']]);
    expect(writer.readers().every(({ alive }) => !alive)).toBe(true);
  });
});

const MIB = 2 ** 20;
const small = root ? mountSmall() : undefined;

function mountSmall(): string | undefined {
  const directory = newDirectory();
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]).status === 0
    ? directory
    : undefined;
}

describe.skipIf(small === undefined)('on a disk of 4 MiB (needs root, to mount one)', () => {
  const directory = small as string;
  afterAll(() => {
    spawnSync('umount', ['-l', directory]);
  });

  test('what does not fit is refused with the numbers, and nothing is left behind', async () => {
    const path = join(directory, 'channel');
    for (const capacity of ['4MiB', '8MiB', '1GiB']) {
      const error = await failure(() => Writer.create(path, { capacity }));
      expect(error).toMatchObject({ code: 'ERR_NO_SPACE', path });
      expect(error.needed).toBeGreaterThan(4 * MIB);
      expect(error.available).toBeGreaterThan(3 * MIB);
      expect(error.available).toBeLessThanOrEqual(4 * MIB);
      expect(error.message).toContain('shm-size');
      expect(readdirSync(directory)).toEqual([]);
    }
    const writer = await Writer.create(path, { capacity: '2MiB' });
    using reader = await Reader.open(path, { gate: true });
    const payload = Buffer.alloc(100_000, 'x');
    for (let i = 0; i < 50; i++) {
      writer.write(payload);
      expect(reader.read()?.data.equals(payload)).toBe(true);
    }
    writer.close();
    const second = join(directory, 'second');
    expect((await failure(() => Writer.create(second, { capacity: '2MiB' }))).code).toBe('ERR_NO_SPACE');
    expect(readdirSync(directory)).toEqual(['channel']);
  });

  test('a hole that somebody punched is filled before a writer goes on, or that is refused', async () => {
    const path = join(directory, 'channel');
    const { crash } = await mortal(() => Writer.create(path, { capacity: '1MiB', replace: true }));
    crash();
    // What is still mapped of files that are gone would make room later.
    await until('all is unmapped', () => mappingsIn(directory) === 0);
    const punched = spawnSync('fallocate', ['-p', '-o', String(MIB / 2), '-l', String(MIB / 4), path]);
    expect(punched.status).toBe(0);
    const filler = join(directory, 'filler');
    thrownBy(() => writeFileSync(filler, Buffer.alloc(4 * MIB)));
    expect(await failure(() => Writer.resume(path))).toMatchObject({ code: 'ERR_NO_SPACE', path });
    truncateSync(filler, 0);
    using writer = await Writer.resume(path);
    using reader = await Reader.open(path, { gate: true });
    for (let i = 0; i < 30; i++) {
      writer.write(Buffer.alloc(100_000, i));
      expect(reader.read()?.data[99_999]).toBe(i);
    }
  });
});

function thrownBy(work: () => void): void {
  expect(work).toThrow();
}

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
