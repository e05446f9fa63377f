import { expect, test } from 'vitest';
import { Log, type LogRecordInput } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
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
