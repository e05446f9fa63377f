import { expect, test } from 'vitest';
import { Log, type LogRecordInput } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { transferred } from '../helpers/gone.js';
import { LIARS, lying } from '../helpers/lying.js';
import { resizable } from '../helpers/resizable.js';
import { newDirectory } from '../helpers/run-directory.js';

async function recordsOf(log: Log): Promise<[offset: number, value: string][]> {
  const records: [number, string][] = [];
  for await (const { offset, value } of log.read({ from: 'earliest' }))
    records.push([offset, value.toString()]);
  return records;
}

/** A record with this field computed when it is looked at. */
function computing(record: LogRecordInput, field: string, compute: () => unknown): LogRecordInput {
  return Object.defineProperty({ ...record }, field, { get: compute, enumerable: true });
}

/** Headers, of which the second is computed when it is looked at. */
function computed(compute: () => unknown): Record<string, string> {
  return Object.defineProperty({ a: '1' }, 'b', { get: compute, enumerable: true }) as Record<string, string>;
}

const RECORD = { key: 'k', value: 'v', headers: { a: '1' } };

test.each([undefined, 'deflate'] as const)(
  'bytes whose buffer was transferred are no record, and no empty one (compression: %s)',
  async (compression) => {
    await using log = await Log.open(newDirectory(), { compression });
    for (const append of [
      () => log.append(transferred()),
      () => log.append({ value: transferred() }),
      () => log.appendBatch([Buffer.from('a'), transferred()]),
      () => log.appendBatch(['a', { key: transferred(), value: 'b' }]),
      () => log.commit(transferred()),
    ]) {
      const refused = await failure(append);
      expect(refused).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        path: expect.stringContaining(log.path),
      });
      expect(refused.message).toMatch(/^The memory of a Uint8Array is gone/);
    }
    expect(log.append(new Uint8Array(0))).toBe(0);
  },
);

test.each([undefined, 'deflate'] as const)(
  'a record that is appended as another one is looked at is refused',
  async (compression) => {
    await using log = await Log.open(newDirectory(), { compression });
    const within = (append: () => unknown) => [
      computing({ value: 'x' }, 'value', append),
      computing({ value: 'x' }, 'key', append),
      { value: 'x', headers: computed(append) },
    ];
    for (const append of [
      () => log.append(RECORD),
      () => log.append(Buffer.from('n')),
      () => log.appendBatch([Buffer.from('n')]),
    ]) {
      for (const record of within(append)) {
        const error = { code: 'ERR_BUSY', path: log.path };
        expect(thrown(() => log.append(record))).toMatchObject(error);
        expect(thrown(() => log.appendBatch(['first', record]))).toMatchObject(error);
      }
    }
    expect(log.append('whole')).toBe(0);
    expect(await recordsOf(log)).toEqual([[0, 'whole']]);
  },
);

test('a record is whole of which a field tried that and went on', async () => {
  await using log = await Log.open(newDirectory());
  const record = computing({ value: '' }, 'value', () => {
    thrown(() => log.append(RECORD));
    return 'x';
  });
  log.append(record);
  log.appendBatch([record, 'y']);
  expect(await recordsOf(log)).toEqual([
    [0, 'x'],
    [1, 'x'],
    [2, 'y'],
  ]);
});

test.each([3, 70_000])(
  'a value that becomes one of %d bytes as its record is looked at is refused',
  async (length) => {
    await using log = await Log.open(newDirectory());
    const growing = (): LogRecordInput => {
      const { data, resize } = resizable(10, 70_000);
      const headers = computed(() => {
        resize(length);
        return '2';
      });
      return { value: data, headers };
    };
    const error = { code: 'ERR_INVALID_ARGUMENT', path: log.path };
    expect(await failure(() => log.append(growing()))).toMatchObject(error);
    expect(await failure(() => log.appendBatch([growing()]))).toMatchObject(error);
    expect(log.append('next')).toBe(0);
    expect(await recordsOf(log)).toEqual([[0, 'next']]);
  },
);

test('of a batch whose elements are computed each is asked for once', async () => {
  await using log = await Log.open(newDirectory());
  for (const element of [(text: string) => Buffer.from(text), (text: string) => text]) {
    const { next } = log;
    let asked = 0;
    const batch = new Proxy([element('a'), element('b')], {
      get: (array, key) => (key === '0' ? element('x'.repeat(++asked * 20)) : Reflect.get(array, key)),
    });
    log.appendBatch(batch);
    expect((await recordsOf(log)).slice(next)).toEqual([
      [next, 'x'.repeat(20)],
      [next + 1, 'b'],
    ]);
  }
});

const WAYS: Record<string, (log: Log, data: Uint8Array) => unknown> = {
  'as a record': (log, data) => log.append(data),
  'as a value': (log, data) => log.append({ value: data }),
  'as a key': (log, data) => log.append({ key: data, value: 'v' }),
  'in a header': (log, data) => log.append({ value: 'v', headers: { a: data } }),
  'in a batch': (log, data) => log.appendBatch([Buffer.from('n'), data]),
  'described in a batch': (log, data) => log.appendBatch([{ key: 'k', value: data }]),
};

test.each(Object.keys(WAYS))('what is not the bytes that it says it is is refused %s', async (way) => {
  for (const compression of [undefined, 'deflate'] as const) {
    await using log = await Log.open(newDirectory(), { compression, segment: '256KiB' });
    // Each meets a log without a segment, one with room, and one that has none for it.
    for (const before of [0, 3, 60_000]) {
      for (const liar of Object.values(LIARS)) {
        const { next } = log;
        expect(thrown(() => WAYS[way](log, liar()))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
        expect(log.next).toBe(next);
      }
      log.append(Buffer.alloc(before, 'b'));
    }
    expect((await recordsOf(log)).map(([offset, value]) => [offset, value.length])).toEqual([
      [0, 0],
      [1, 3],
      [2, 60_000],
    ]);
    expect(await log.verify()).toMatchObject({ sound: true });
  }
});

test.each(Object.keys(WAYS))('nor can its length append anything %s', async (way) => {
  for (let looks = 1; looks <= 6; looks++) {
    await using log = await Log.open(newDirectory());
    if (looks % 2 === 0) log.append('first');
    const { next } = log;
    let asked = 0;
    const data = lying(7, () => {
      if (++asked === looks) log.append(Buffer.from('its own'));
      return 7;
    });
    try {
      WAYS[way](log, data);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_BUSY', path: log.path });
      expect(log.next).toBe(next);
    }
    log.append('next');
    expect((await recordsOf(log)).map(([offset]) => offset)).toEqual(
      Array.from({ length: log.next }, (_, i) => i),
    );
    expect(await log.verify()).toMatchObject({ sound: true });
  }
});
