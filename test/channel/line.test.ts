import { expect, test } from 'vitest';
import { Line } from '../../lib/channel/index.js';

const TASK = { what: 'Standing in line', path: '/somewhere' };

/** A promise, and what settles it. */
function open<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

test('one after the other, in the order in which they came, however each ends', async () => {
  const line = new Line();
  const seen: string[] = [];
  const first = open<number>();
  const came = [
    line.enter(() => first.promise, TASK, {}),
    line.enter(() => seen.push('second'), TASK, {}),
    line.enter(() => seen.push('third'), TASK, {}),
  ];
  expect(line.isEmpty).toBe(false);
  const settled = line.settled().then(() => seen.push('all'));
  await Promise.resolve();
  expect(seen).toEqual([]);
  first.reject(new Error('the first one'));
  expect((await Promise.allSettled(came)).map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
    'fulfilled',
  ]);
  await settled;
  expect(seen).toEqual(['second', 'third', 'all']);
  expect(line.isEmpty).toBe(true);
});

test('who gives up lets nobody before those who came first', async () => {
  const line = new Line();
  const seen: string[] = [];
  const first = open<void>();
  const one = line.enter(() => first.promise.then(() => seen.push('first')), TASK, {});
  const giving = new AbortController();
  const two = line.enter(() => seen.push('second'), TASK, { signal: giving.signal });
  giving.abort();
  await expect(two).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  const three = line.enter(() => seen.push('third'), TASK, {});
  first.resolve();
  await Promise.all([one, three]);
  expect(seen).toEqual(['first', 'third']);
});

/** Bytes of the heap that are in use. */
function used(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

test('keeps nothing of those who left', async () => {
  expect(globalThis.gc).toBeDefined();
  const line = new Line();
  const pass = async (count: number) => {
    for (let i = 0; i < count; i++) await line.enter(() => ({ i }), TASK, {});
  };
  await pass(1000);
  const before = used();
  const COUNT = 50_000;
  await pass(COUNT);
  // A promise or an array of each would take more than a hundred.
  expect((used() - before) / COUNT).toBeLessThan(10);
});
