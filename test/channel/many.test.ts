import { getEventListeners } from 'node:events';
import { relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { json, type ManyOptions, type ManyReader, openAll, Reader, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

/** Writers of so many channels, and all of these read as one. */
async function group<Out = Buffer>(count: number, options: ManyOptions<Out> = {}, timestamps = false) {
  const writers = await Promise.all(
    Array.from({ length: count }, () => Writer.create(newPath(), { capacity: '64KiB', timestamps })),
  );
  const paths = writers.map(({ path }) => path);
  const many = await openAll<Out>(paths, options);
  return { writers, paths, many, [Symbol.dispose]: () => closeAll(many, writers) };
}

function closeAll(many: { close(): void }, writers: { close(): void }[]) {
  many.close();
  for (const writer of writers) writer.close();
}

const said = (records: { data: Buffer }[]) => records.map(({ data }) => data.toString());

/** What `many` throws, and what it hands out, until it ends. */
async function readToTheEnd(many: ManyReader<unknown>) {
  const seen: string[] = [];
  const errors: unknown[] = [];
  for (let ended = false; !ended; ) {
    try {
      for await (const { data } of many) seen.push(data.toString());
      ended = true;
    } catch (error) {
      errors.push(error);
    }
  }
  return { seen, errors };
}

describe('what all of them have', () => {
  test('is read by read, readBatch, batches, iteration and poll, each record with its channel', async () => {
    using given = await group(2);
    const { many, paths, writers } = given;
    const write = (text: string) => writers.forEach((writer, n) => void writer.write(`${text}${n}`, n));
    expect(many.read()).toBeUndefined();
    write('read');
    expect([many.read(), many.read()]).toMatchObject([
      { source: paths[0], type: 0, record: 0 },
      { source: paths[1], type: 1, record: 0 },
    ]);
    write('batch');
    expect(said(many.readBatch(10)).sort()).toEqual(['batch0', 'batch1']);
    write('batches');
    for await (const batch of many.batches({ max: 10 })) {
      expect(batch.map(({ source }) => source).sort()).toEqual([...paths].sort());
      break;
    }
    write('iterated');
    let iterated = 0;
    for await (const { data, source } of many) {
      expect(`${data}`).toBe(`iterated${paths.indexOf(source)}`);
      if (++iterated === 2) break;
    }
    write('polled');
    const polled: unknown[] = [];
    const handler = (bytes: Buffer, start: number, end: number, type: number, reader: Reader) =>
      polled.push([bytes.toString('utf8', start, end), type, reader.path, reader.recordNumber]);
    expect(many.poll(handler)).toBe(2);
    expect(polled.sort()).toEqual([
      ['polled0', 0, paths[0], 4],
      ['polled1', 1, paths[1], 4],
    ]);
  });

  test('is decoded by a codec', async () => {
    using given = await group(2, { codec: json });
    given.writers[1].write('{"id":1}');
    expect(given.many.read()).toMatchObject({ value: { id: 1 }, source: given.paths[1] });
  });

  test('begins where each path is said to', async () => {
    const writers = await Promise.all([1, 2].map(() => Writer.create(newPath())));
    for (const writer of writers) for (const text of ['a', 'b', 'c']) writer.write(text);
    const from = (path: string) => (path === writers[0].path ? { record: 1 } : undefined);
    using many = await openAll(
      writers.map(({ path }) => path),
      { from },
    );
    expect(said(many.readBatch(10))).toEqual(['b', 'c']);
    closeAll(many, writers);
  });

  test('is no more than the limit', async () => {
    using given = await group(3);
    const { many, writers } = given;
    for (let n = 0; n < 10; n++) for (const writer of writers) writer.write(String(n));
    expect(many.poll(() => {}, 7)).toBe(7);
    expect(many.readBatch(20)).toHaveLength(20);
    expect(many.poll(() => {}, 0)).toBe(0);
    expect(many.readBatch(20)).toHaveLength(3);
  });
});

describe('by turns', () => {
  test('one that floods keeps none of the others waiting', async () => {
    using given = await group(3);
    const [flood, slow, other] = given.writers;
    let floodSeen = 0;
    const behind: number[] = [];
    for (let round = 0; round < 50; round++) {
      while (flood.tryWrite('flood') > 0 && flood.position - floodSeen * 32 < 60_000);
      slow.write(`slow ${floodSeen}`);
      other.write('other');
      let others = 0;
      const sinceRound = floodSeen;
      while (others < 2) {
        expect(floodSeen - sinceRound).toBeLessThan(1000);
        // The flood never dries up: there is always more of it than is asked for.
        const record = given.many.read();
        if (record?.source === flood.path) floodSeen++;
        else others++;
        if (record?.source === slow.path) behind.push(floodSeen - Number(`${record.data}`.split(' ')[1]));
        flood.tryWrite('flood');
      }
    }
    expect(behind).toHaveLength(50);
    expect(Math.max(...behind)).toBeLessThanOrEqual(64);
    expect(floodSeen).toBeGreaterThan(1000);
  });

  test.each(['poll', 'readBatch'] as const)('%s hands out some of each', async (way) => {
    using given = await group(5);
    for (const writer of given.writers) for (let n = 0; n < 500; n++) writer.write('x');
    const seen = new Map<string, number>();
    const count = (path: string) => seen.set(path, (seen.get(path) ?? 0) + 1);
    if (way === 'poll') given.many.poll((_b, _s, _e, _t, reader) => count(reader.path), 1000);
    else for (const { source } of given.many.readBatch(1000)) count(source);
    expect(seen.size).toBe(5);
    expect(Math.min(...seen.values())).toBeGreaterThanOrEqual(1000 / 5 - 64);
  });

  test('whose handler throws has not consumed its record, and the others have their turns', async () => {
    using given = await group(2);
    const { many, writers, paths } = given;
    for (const writer of writers) writer.write('x');
    const calls: string[] = [];
    const failing = () =>
      many.poll((_b, _s, _e, _t, reader) => {
        calls.push(reader.path);
        throw new RangeError('no');
      });
    expect(failing).toThrow(RangeError);
    expect(failing).toThrow(RangeError);
    expect(calls.sort()).toEqual([...paths].sort());
    expect(many.readBatch(10)).toHaveLength(2);
    expect(many.sources().every(({ error }) => error === undefined)).toBe(true);
  });
});

describe('the end', () => {
  test('comes when all have ended, and closes each as it comes to its own', async () => {
    using given = await group(3);
    const { many, writers, paths } = given;
    const reading = readToTheEnd(many);
    writers[0].write('a');
    writers[0].close();
    writers[1].seal();
    writers[2].write('b');
    await expect.poll(() => many.sources().filter(({ ended }) => ended).length).toBe(2);
    expect(writers[2].readers()).toHaveLength(1);
    expect(many.reader(paths[0])).toBeUndefined();
    expect(many.ended).toBe(false);
    writers[2].write('c');
    writers[2].close();
    expect((await reading).seen.sort()).toEqual(['a', 'b', 'c']);
    expect(many.ended).toBe(true);
    expect(many.closed).toBe(false);
    expect(many.sources().map(({ path, status, ended }) => [path, status, ended])).toEqual(
      expect.arrayContaining([
        [paths[0], 'closed', true],
        [paths[1], 'sealed', true],
        [paths[2], 'closed', true],
      ]),
    );
  });

  test('of none at all is at once', async () => {
    using many = await openAll([]);
    expect(await many.ready()).toBe(false);
    expect(many.ended).toBe(true);
  });

  test('comes by close, which ends a wait, is heard twice, and lets go of all', async () => {
    using given = await group(2);
    const { many, writers } = given;
    const [waiting, reading] = [many.ready(), readToTheEnd(many)];
    many.close();
    many.close();
    expect(await waiting).toBe(false);
    expect(await reading).toEqual({ seen: [], errors: [] });
    expect(many.closed).toBe(true);
    for (const writer of writers) expect(writer.readers()).toEqual([]);
    const uses = [() => many.read(), () => many.poll(() => {}), () => many.sources(), () => many.ended];
    for (const use of uses) expect(thrown(use).code).toBe('ERR_CLOSED_HANDLE');
    expect((await failure(() => many.ready())).code).toBe('ERR_CLOSED_HANDLE');
  });

  test('within a handler comes when that returns', async () => {
    using given = await group(2);
    const { many, writers } = given;
    for (const writer of writers) writer.writeBatch(['a', 'b']);
    let calls = 0;
    const count = many.poll(() => {
      calls++;
      expect(thrown(() => many.read()).code).toBe('ERR_BUSY');
      many.close();
      expect(many.closed).toBe(false);
    });
    expect([calls, count]).toEqual([1, 1]);
    expect(many.closed).toBe(true);
    for (const writer of writers) expect(writer.readers()).toEqual([]);
  });
});

describe('waiting', () => {
  test('ends by a record of any of them, and takes nothing', async () => {
    using given = await group(3);
    for (const writer of given.writers) {
      const ready = given.many.ready();
      writer.write('x');
      expect(await ready).toBe(true);
      expect(await given.many.ready()).toBe(true);
      expect(said(given.many.readBatch(9))).toEqual(['x']);
    }
  });

  test('for 200 channels works without a listener for each on a signal', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on('warning', warned);
    using given = await group(200);
    const { many, writers } = given;
    const { signal } = new AbortController();
    for (let round = 0; round < 3; round++) {
      const batches = many.batches({ signal });
      const next = batches.next();
      expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
      writers[round * 99].write('x');
      expect(said((await next).value as never)).toEqual(['x']);
      await batches.return?.();
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    }
    for (const writer of writers) writer.write('each');
    expect(new Set(many.readBatch(1000).map(({ source }) => source)).size).toBe(200);
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });

  test('ends by a signal and in time, and then goes on as before', async () => {
    using given = await group(2);
    const { many, writers } = given;
    expect((await failure(() => many.ready({ timeoutMs: 5 }))).code).toBe('ERR_TIMEOUT');
    const controller = new AbortController();
    const waiting = failure(() => many.ready({ signal: controller.signal }));
    controller.abort();
    expect(await waiting).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError' });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    const other = many.ready();
    writers[1].write('x');
    expect(await other).toBe(true);
  });
});

describe('what goes wrong with one is told once, with its path, and the others are read on', () => {
  test('one that was overtaken', async () => {
    using given = await group(2, { gate: false });
    const { many, writers, paths } = given;
    writers[1].write('before');
    for (let n = 0; n < 200; n++) writers[0].write(Buffer.alloc(1000));
    const { errors, sources } = readAll(many);
    expect(errors).toMatchObject([{ code: 'ERR_OVERTAKEN', path: paths[0] }]);
    expect(sources).toContain(paths[0]);
    expect(sources.filter((path) => path === paths[1])).toHaveLength(1);
    expect(many.sources()[0].lost).toBeGreaterThan(0);
  });

  test('by the call behind the one that handed out what came before it, and counts that', async () => {
    using given = await group(2, { gate: false });
    const { many, writers, paths } = given;
    writers[0].write('one');
    let handed = 0;
    const flood = () => {
      for (let n = 0; n < 200; n++) writers[0].write(Buffer.alloc(1000));
    };
    expect(many.poll(() => void (handed++ === 0 && flood()))).toBe(handed);
    expect(handed).toBe(1);
    expect(thrown(() => many.read())).toMatchObject({ code: 'ERR_OVERTAKEN', path: paths[0] });
    expect(many.read()?.source).toBe(paths[0]);
  });

  test('one that was evicted joins again', async () => {
    using given = await group(2, { gate: { evictAfterMs: 1 } });
    const { many, writers, paths } = given;
    for (let n = 0; n < 200; n++) await writers[0].send(Buffer.alloc(1000));
    writers[1].write('x');
    const { errors, sources } = readAll(many);
    expect(errors).toMatchObject([{ code: 'ERR_EVICTED', path: paths[0], from: 0 }]);
    expect(sources).toContain(paths[0]);
    expect(sources).toContain(paths[1]);
    expect(writers[0].readers()).toMatchObject([{ state: 'gating' }]);
  });

  test('a record that its codec cannot decode stays until its reader is moved', async () => {
    using given = await group(2, { codec: json });
    const { many, writers, paths } = given;
    writers[0].write('no JSON');
    writers[0].write('1');
    writers[1].write('2');
    const errors: unknown[] = [];
    const values: unknown[] = [];
    for (let calls = 0; calls < 4; calls++) {
      try {
        values.push(many.read()?.value);
      } catch (error) {
        errors.push(error);
      }
    }
    expect(values).toContain(2);
    expect(errors[0]).toBeInstanceOf(SyntaxError);
    const failed = many.sources().find(({ error }) => error instanceof SyntaxError);
    expect(failed).toMatchObject({ path: paths[0], ended: false });
    many.reader(paths[0])?.seek({ record: 1 });
    expect(many.read()?.value).toBe(1);
    expect(many.sources()[0].error).toBeUndefined();
  });

  test.each(['ERR_CLOSED_HANDLE', 'ERR_BACK_PRESSURE'])(
    'what another channel refuses to a codec (%s) ends none that is read',
    async (code) => {
      using audit = await Writer.create(newPath(), { capacity: '64KiB' });
      using _slow = await Reader.open(audit.path, { gate: true });
      if (code === 'ERR_CLOSED_HANDLE') audit.close();
      else while (audit.tryWrite(Buffer.alloc(1000)) > 0);
      let isAudited = true;
      const decode = (bytes: Buffer) => {
        if (isAudited) audit.write(Buffer.alloc(1000));
        return bytes.toString();
      };
      using given = await group(1, { codec: { decode } });
      const { many, writers } = given;
      writers[0].write('x');
      for (let calls = 0; calls < 2; calls++) {
        expect(thrown(() => many.read())).toMatchObject({ code, path: audit.path });
      }
      isAudited = false;
      expect(many.read()?.value).toBe('x');
    },
  );

  test('what a strategy of waiting throws is told, whatever it is', async () => {
    const strategy = {
      idle() {
        throw null;
      },
    };
    using given = await group(1, { idle: strategy });
    const { many } = given;
    expect(await many.ready()).toBe(true);
    let told: unknown = 'nothing';
    try {
      many.read();
    } catch (error) {
      told = error;
    }
    expect(told).toBeNull();
  });

  test('the reader of each is had by any path that leads from here', async () => {
    using given = await group(2);
    const { many, paths } = given;
    for (const path of paths) {
      expect(many.reader(path)?.path).toBe(path);
      expect(many.reader(relative('', path))).toBe(many.reader(path));
    }
    expect(many.reader('channel')).toBeUndefined();
    expect(thrown(() => many.reader(5 as unknown as string)).code).toBe('ERR_INVALID_ARGUMENT');
  });

  test('one whose reader somebody closed leaves without a word', async () => {
    using given = await group(2);
    const { many, writers, paths } = given;
    many.reader(paths[0])?.close();
    for (const writer of writers) writer.write('x');
    expect(many.readBatch(9).map(({ source }) => source)).toEqual([paths[1]]);
    expect(many.reader(paths[0])).toBeUndefined();
  });

  test('also within a handler, which may ask where the others stand', async () => {
    using given = await group(2);
    const { many, writers, paths } = given;
    writers[0].write('x');
    const standing: string[] = [];
    const handed = many.poll(() => {
      many.reader(paths[1])?.close();
      standing.push(...many.sources().map(({ path }) => path));
    });
    expect([handed, standing]).toEqual([1, [paths[0]]]);
  });

  /** Reads all there is now, over all errors. */
  function readAll(many: ManyReader) {
    const errors: unknown[] = [];
    const sources: string[] = [];
    for (let more = true; more; ) {
      try {
        const batch = many.readBatch(100);
        for (const { source } of batch) sources.push(source);
        more = batch.length > 0;
      } catch (error) {
        errors.push(error);
      }
    }
    return { errors, sources };
  }
});

describe('a dead writer', () => {
  async function withOneDead(onDeath?: 'throw' | 'skip' | 'wait') {
    const dead = await mortal(() => Writer.create(newPath()));
    const alive = await Writer.create(newPath());
    const paths = [dead.writer.path, alive.path];
    const many = await openAll(paths, { onDeath, deadAfterMs: 0 });
    dead.writer.write('last words');
    dead.crash();
    return { many, alive, paths };
  }

  test('is told when all it has was read, and iteration can go on with the others', async () => {
    const { many, alive, paths } = await withOneDead();
    const errors: unknown[] = [];
    const seen: string[] = [];
    try {
      for await (const { data } of many) seen.push(`${data}`);
    } catch (error) {
      errors.push(error);
    }
    expect(seen).toEqual(['last words']);
    expect(errors).toMatchObject([{ code: 'ERR_WRITER_DEAD', path: paths[0] }]);
    expect(many.sources()).toMatchObject([
      { path: paths[0], ended: true, status: 'dead', error: errors[0] },
      { path: paths[1], ended: false, status: 'alive' },
    ]);
    alive.write('and on');
    alive.close();
    expect(await readToTheEnd(many)).toEqual({ seen: ['and on'], errors: [] });
    many.close();
  });

  test("is passed over with onDeath: 'skip'", async () => {
    const { many, alive } = await withOneDead('skip');
    const reading = readToTheEnd(many);
    await expect.poll(() => many.sources().filter(({ ended }) => ended).length).toBe(1);
    alive.close();
    expect(await reading).toEqual({ seen: ['last words'], errors: [] });
    many.close();
  });

  test("has a successor with onDeath: 'wait'", async () => {
    const { many, alive, paths } = await withOneDead('wait');
    expect(said(many.readBatch(9))).toEqual(['last words']);
    const ready = many.ready();
    const successor = await Writer.resume(paths[0]);
    successor.write('and on');
    expect(await ready).toBe(true);
    expect(said(many.readBatch(9))).toEqual(['and on']);
    closeAll(many, [successor, alive]);
  });
});

test('what cannot be opened fails the whole, with its path, and leaves nothing open', async () => {
  using given = await group(1);
  const { writers, paths } = given;
  given.many.close();
  const missing = newPath();
  expect(await failure(() => openAll([paths[0], missing]))).toMatchObject({
    code: 'ERR_NOT_FOUND',
    path: missing,
  });
  expect(await failure(() => openAll(paths, { register: false }))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    path: paths[0],
  });
  expect(writers[0].readers()).toEqual([]);
  const waiting = failure(() => openAll([paths[0], missing], { wait: true, timeoutMs: 5 }));
  expect((await waiting).code).toBe('ERR_TIMEOUT');
  expect((await failure(() => openAll(paths, { signal: AbortSignal.abort() }))).code).toBe('ERR_ABORTED');
  expect(writers[0].readers()).toEqual([]);
});

test.each(['fair', 'timestamp'] as const)(
  'within a handler of one of its readers it is busy (%s)',
  async (order) => {
    using given = await group(2, { order }, true);
    const { many, writers, paths } = given;
    for (const writer of writers) writer.write('x');
    const codes: string[] = [];
    many.reader(paths[0])?.poll(() => codes.push(thrown(() => many.read()).code));
    expect(codes).toEqual(['ERR_BUSY']);
    writers[0].write('y');
    expect(said(many.readBatch(10)).sort()).toEqual(['x', 'y']);
  },
);

test('a list can wait for its channels', async () => {
  const path = newPath();
  const opening = openAll([path], { wait: true, from: 'oldest' });
  using writer = await Writer.create(path);
  writer.write('x');
  using many = await opening;
  expect(said(many.readBatch(9))).toEqual(['x']);
});

test('wrong arguments are refused', async () => {
  using given = await group(1);
  const { many, paths } = given;
  const openings = [
    () => openAll(5 as never),
    () => openAll([paths[0], paths[0]]),
    () => openAll([5 as never]),
    () => openAll(paths[0]),
    () => openAll(paths, { orders: 'fair' } as never),
    () => openAll(paths, { order: 'time' as never }),
    () => openAll(paths, { onDeath: 'ignore' as never }),
    () => openAll(paths, { holdMs: 5 }),
    () => openAll(paths, { order: 'timestamp' }),
    () => openAll(paths, { from: 64 as never }),
    () => openAll(paths, { match: /x/ }),
    () => openAll(paths, { watch: true }),
    () => openAll(paths, { gate: 1 as never }),
  ];
  for (const opening of openings) expect((await failure(opening)).code).toBe('ERR_INVALID_ARGUMENT');
  expect(await failure(openings[8])).toMatchObject({ path: paths[0] });
  const uses = [
    () => many.poll('x' as never),
    () => many.poll(() => {}, -1),
    () => many.readBatch(0),
    () => many.batches({ most: 1 } as never).next(),
    () => many.ready({ timeout: 1 } as never),
  ];
  for (const use of uses) expect((await failure(use)).code).toBe('ERR_INVALID_ARGUMENT');
});
