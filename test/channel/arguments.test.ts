import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  compressed,
  inspect,
  openAll,
  Reader,
  Refusal,
  shmPath,
  Writer,
  type WriterOptions,
} from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { cutOff, transferred } from '../helpers/gone.js';
import { newPath } from '../helpers/run-directory.js';
import { OPENERS, type Wrong } from './broken-channels.js';

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
    for (const open of Object.values(openers)) {
      expect((await failure(() => open('a\0b\n'))).message).toBe(
        "A path has no NUL in it, as 'a\\x00b\\x0a' has",
      );
    }
    for (const name of ['', '.', '..', 'a/b', 'a b', 'x'.repeat(201), 7, undefined]) {
      expect(thrown(() => shmPath(name as Wrong)).code).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(shmPath('a-b_c.1')).toMatch(/\/a-b_c\.1$/);
  });

  test('a bigint is shown as one: its number may be just what is allowed', async () => {
    const capacity = 65_536n as Wrong;
    expect((await failure(() => Writer.create(newPath(), { capacity }))).message).toMatch(/, not 65536n$/);
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

  test('a place that is none is refused before there is a channel', async () => {
    for (const from of [
      'middle',
      { reocrd: 3 },
      { time: 'x' },
      { time: 5, tmie: 6 },
      -5,
      { record: -1 },
    ] as Wrong[]) {
      const opening = () => Reader.open(newPath(), { from, wait: true, timeoutMs: 0 });
      expect((await failure(opening)).code).toBe('ERR_INVALID_ARGUMENT');
      expect((await failure(() => openAll([], { from }))).code).toBe('ERR_INVALID_ARGUMENT');
    }
  });

  test('a place that is none in this channel, or for it, is refused with its path', async () => {
    using writer = await Writer.create(newPath());
    const { path } = writer;
    using reader = await Reader.open(path);
    for (const use of [
      () => Reader.open(path, { from: { time: 5 } }),
      () => reader.seek({ time: 5 }),
      () => openAll([path], { from: { time: 5 } }),
      () => openAll([path], { from: () => 'middle' as Wrong }),
    ]) {
      expect(await failure(use)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
    }
  });

  test('null is no option that was left out', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB', mode: 'linear' });
    using reader = await Reader.open(writer.path);
    const uses: [string, (options: Wrong) => unknown][] = [
      ['mode', (options) => Writer.create(newPath(), options)],
      ['capacity', (options) => Writer.create(newPath(), options)],
      ['from', (options) => Reader.open(writer.path, options)],
      ['gate', (options) => Reader.open(writer.path, options)],
      ['signal', (options) => reader.ready(options)],
      ['copy', (options) => reader.poll(() => {}, options)],
      ['type', (options) => writer.write('x', options)],
    ];
    for (const [option, use] of uses) {
      const error = await failure(() => use({ [option]: null }));
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(option) });
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
    metadata: [
      '{}',
      7,
      [],
      true,
      { x: 'y'.repeat(4096) },
      { x: 1n },
      new Date(),
      ...[5, null, [], undefined].map((json) => ({ toJSON: () => json })),
      new (class {
        toJSON() {}
      })(),
    ],
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

  test('a writer is called stalled after four heartbeats, where nothing else is said and they take long', async () => {
    const figuresOf = async (options: Pick<WriterOptions, 'heartbeatMs' | 'stalledAfterMs'>) => {
      using writer = await Writer.create(newPath(), { capacity: 65536, ...options });
      const { heartbeatMs, stalledAfterMs } = inspect(writer.path);
      return [heartbeatMs, stalledAfterMs];
    };
    expect(await figuresOf({})).toEqual([250, 2000]);
    expect(await figuresOf({ heartbeatMs: 60_000 })).toEqual([60_000, 240_000]);
    // For who beats by `heartbeat()`.
    expect(await figuresOf({ heartbeatMs: 60_000, stalledAfterMs: 50 })).toEqual([60_000, 50]);
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
    name: [7, {}, 'x'.repeat(65), '√'.repeat(22), 'a\0b', 'a\nb', '\u009b'],
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
      return error;
    };
    const noData = [undefined, null, 7, true, {}, { data: 'x' }, [7], [['x']], new ArrayBuffer(3), [null]];
    for (const data of [...noData, new Uint16Array(3), new DataView(new ArrayBuffer(3))] as Wrong[]) {
      for (const use of [() => writer.write(data), () => writer.tryWrite(data), () => writer.send(data)]) {
        expect((await refused(use)).path).toBe(writer.path);
      }
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
      const { path, option } = await refused(() => writer.writeBatch(records));
      if (option === undefined) expect(path).toBe(writer.path);
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
    const invalid = await refused(() => writer.write('x', { timestamp: new Date(Number.NaN) }));
    expect(invalid.message).toMatch(/, not an invalid Date$/);
    for (const wrong of NO_NUMBERS as Wrong[]) {
      expect((await refused(() => writer.claim(wrong))).path).toBe(writer.path);
      await refused(() => writer.ready({ bytes: wrong }));
      await refused(() => reader.readBatch(wrong));
      if (wrong !== Number.POSITIVE_INFINITY) await refused(() => reader.poll(() => {}, { limit: wrong }));
      await refused(() => reader.batches({ max: wrong }).next());
      await refused(() => reader.seek({ record: wrong }));
    }
    for (const copy of NO_FLAGS as Wrong[]) await refused(() => reader.poll(() => {}, { copy }));
    for (const handler of [undefined, null, 7, 'x', {}] as Wrong[]) await refused(() => reader.poll(handler));
    expect(writer.position).toBe(0);
    writer.write('after it all');
    expect(reader.read()).toMatchObject({ position: 0, record: 0, data: Buffer.from('after it all') });
  });

  test.each([
    ['was transferred', transferred],
    ['is shorter by now', cutOff],
  ])('bytes whose buffer %s are no record, and no empty one', async (_, gone) => {
    using writer = await Writer.create(newPath(), { capacity: 65536 });
    using encoding = await Writer.create(newPath(), { capacity: 65536, codec: { encode: gone } });
    using packing = await Writer.create(newPath(), {
      capacity: 65536,
      codec: compressed({ encode: gone, decode: String }),
    });
    for (const [own, use] of [
      [writer, () => writer.write(gone())],
      [writer, () => writer.tryWrite(gone())],
      [writer, () => writer.send(gone())],
      [writer, () => writer.write(['a', gone()])],
      [writer, () => writer.writeBatch([Buffer.from('a'), gone()])],
      [writer, () => writer.writeBatch(['a', gone()])],
      [writer, () => writer.writeBatch([{ data: gone() }])],
      [writer, () => writer.writeBatch([{ data: ['a', gone()] }])],
      [encoding, () => encoding.write('x')],
      [encoding, () => encoding.writeBatch(['x'])],
      [packing, () => packing.write('x')],
    ] as const) {
      const refused = await failure(use);
      expect(refused).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: own.path });
      expect(refused.message).toMatch(/^The memory of a Uint8Array is gone/);
      expect(own.position).toBe(0);
    }
    expect(writer.tryWriteBatch([new Uint8Array(0), Buffer.alloc(0)])).toBe(32);
    expect(writer.tryWrite(new Uint8Array(0))).toBe(16);
  });

  test('bytes that are transferred while their batch is looked at are refused', async () => {
    using writer = await Writer.create(newPath(), { capacity: 65536 });
    const bytes = new Uint8Array(4);
    const taking = {
      get data() {
        if (bytes.length > 0) structuredClone(bytes, { transfer: [bytes.buffer] });
        return 'b';
      },
    };
    const refused = thrown(() => writer.writeBatch([{ data: bytes }, taking]));
    expect(refused).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: writer.path });
    expect(writer.position).toBe(0);
  });

  test('what the options of a record inherit counts, however it is written', async () => {
    class Described {
      get type() {
        return 7;
      }
      get tag() {
        return 9;
      }
      get timestamp() {
        return 1000;
      }
    }
    using writer = await Writer.create(newPath(), { timestamps: true });
    using reader = await Reader.open(writer.path);
    writer.write('one', new Described());
    await writer.send('one', new Described());
    writer.writeBatch([Object.assign(new Described(), { data: 'one' })]);
    const as = { type: 7, tag: 9, timestamp: 1_000_000 };
    expect(reader.readBatch(10)).toMatchObject([as, as, as]);
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
    const tooLarge = Buffer.alloc(8193);
    expect(writer.tryWrite(tooLarge)).toBe(Refusal.TOO_LARGE);
    const claim = writer.claim(10);
    if (claim === undefined) throw new Error('No claim');
    for (const use of [
      () => writer.write('x'),
      () => writer.tryWrite('x'),
      () => writer.writeBatch(['x']),
      () => writer.claim(1),
      () => writer.send('x'),
      () => writer.ready(),
      // What never fits, too.
      () => writer.write(tooLarge),
      () => writer.tryWrite(tooLarge),
      () => writer.writeBatch([tooLarge]),
      () => writer.claim(tooLarge.length),
      () => writer.send(tooLarge),
      () => writer.ready({ bytes: tooLarge.length }),
    ]) {
      expect(await failure(use)).toMatchObject({ code: 'ERR_BUSY', path: writer.path });
    }
    for (const used of [11, -1, 1.5, Number.NaN, '5', null] as Wrong[]) {
      const refused = thrown(() => claim.commit(used));
      expect(refused).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: writer.path });
    }
    claim.bytes.write('0123456789', claim.start);
    claim.commit(4);
    for (const use of [() => claim.commit(), () => claim.commit(1), () => claim.abort()]) {
      expect(thrown(use)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: writer.path });
    }
    expect(reader.readBatch(9).map(({ data }) => data.toString())).toEqual(['0123']);
    writer.claim(5)?.abort();
    writer.write('on');
    expect(reader.readBatch(9).map(({ data }) => data.toString())).toEqual(['on']);
  });
});
