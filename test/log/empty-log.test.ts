import { afterEach, describe, expect, test, vi } from 'vitest';
import { Directory } from '../../lib/log/files/directory.js';
import type { Log, ReadOptions } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { apply, basesOf, fillTo, open } from './retained.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** An empty log, and another one who reads it. */
async function openTwice(): Promise<{ log: Log; reader: Log }> {
  const log = await open();
  return { log, reader: await open({ readOnly: true }, log.path) };
}

/** Appends, and removes the first segments. */
async function goOn(log: Log): Promise<void> {
  fillTo(log, 6);
  await apply(log, { segments: 2 });
  expect(log.earliest).toBeGreaterThan(0);
}

const standStill = () => vi.spyOn(performance, 'now').mockReturnValue(performance.now());

describe('who looked into a log when it was empty, and looks again when its first segments are removed', () => {
  test.each<ReadOptions>([{}, { from: 'earliest' }, { from: 0 }])('hears of it: %j', async (options) => {
    const { log, reader } = await openTwice();
    const tail = reader.tail({ from: options.from });
    expect(tail.hasNext()).toBe(false);
    const reading = reader.read({ ...options, follow: true });
    await goOn(log);
    const { earliest, next } = log;
    const outOfRange = { code: 'ERR_OFFSET_OUT_OF_RANGE', offset: 0, earliest, next };
    expect(await failure(() => tail.ready())).toMatchObject(outOfRange);
    expect(await failure(() => reading.next())).toMatchObject(outOfRange);
  });

  test('goes on at the earliest, or at the latest, where that was asked for', async () => {
    const { log, reader } = await openTwice();
    const first = reader.tail({ outOfRange: 'earliest' });
    const last = reader.tail({ outOfRange: 'latest' });
    for (const tail of [first, last]) expect(tail.hasNext()).toBe(false);
    await goOn(log);
    expect(await first.ready()).toBe(true);
    expect(first.read()?.offset).toBe(log.earliest);
    const ready = last.ready();
    const offset = log.append('new');
    expect(await ready).toBe(true);
    expect(last.read()?.offset).toBe(offset);
  });
});

test('who polls an empty log in a busy loop does not list its directory each time', async () => {
  const { log, reader } = await openTwice();
  const tail = reader.tail();
  const listed = vi.spyOn(Directory.prototype, 'segments');
  const clock = standStill();
  for (let i = 0; i < 100; i++) expect(tail.poll(() => {})).toBe(0);
  expect(listed).toHaveBeenCalledTimes(1);
  // Not just 10 ms later: of two sums of doubles the difference may be a little less.
  clock.mockReturnValue(performance.now() + 11);
  for (let i = 0; i < 100; i++) expect(tail.poll(() => {})).toBe(0);
  expect(listed).toHaveBeenCalledTimes(2);
  clock.mockRestore();
  await goOn(log);
  standStill().mockReturnValue(performance.now() + 60_000);
  expect(thrown(() => tail.poll(() => {}))).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE' });
});

test('a log that gets its first segments between two looks of one poll is read from its beginning', async () => {
  const { log, reader } = await openTwice();
  const tail = reader.tail();
  const { segments } = Directory.prototype;
  vi.spyOn(Directory.prototype, 'segments').mockImplementationOnce(function (this: Directory) {
    fillTo(log, 3);
    return segments.call(this);
  });
  expect(tail.poll(() => {})).toBe(0);
  expect(basesOf(log)).toHaveLength(3);
  expect(tail.readBatch(1000).map(({ offset }) => offset)).toEqual(
    Array.from({ length: log.next }, (_, i) => i),
  );
});
