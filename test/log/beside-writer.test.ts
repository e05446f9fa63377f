import { afterEach, describe, expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf, StoppedWriter } from '../helpers/stopped-writer.js';

let writer: StoppedWriter | undefined;

afterEach(() => writer?.kill());

async function stoppedWriter(directory: string): Promise<StoppedWriter> {
  writer = await StoppedWriter.after(
    directory,
    `log.append('one'); log.append('two'); await log.cursor('known').set(1); await log.cursor('known').flush()`,
  );
  return writer;
}

test.each(['exclusive', 'shared'] as const)('a log tells whether somebody appends: %s', async (writers) => {
  const directory = newDirectory();
  const log = await Log.open(directory, { writers });
  const reading = await Log.open(directory, { readOnly: true });
  expect([log.hasWriter, reading.hasWriter]).toEqual([true, true]);
  await log.close();
  expect(reading.hasWriter).toBe(false);
  await reading.close();
});

describe('beside a live writer', () => {
  test('who may change nothing sees its cursors, and changes nothing', async () => {
    const directory = newDirectory();
    await stoppedWriter(directory);
    const before = contentsOf(directory);
    await using log = await Log.open(directory, { readOnly: true });
    expect([log.hasWriter, log.cursors()]).toEqual([true, [{ name: 'known', offset: 1, lag: 1 }]]);
    expect(await failure(() => log.cursor('known').set(2))).toMatchObject({ code: 'ERR_PERMISSION' });
    expect(contentsOf(directory)).toEqual(before);
  });

  test('who may change no records sets cursors, and the next writer sees them', async () => {
    const directory = newDirectory();
    const live = await stoppedWriter(directory);
    const log = await Log.open(directory, { readOnly: 'records' });
    expect(log.recovery).toBeUndefined();
    expect(thrown(() => log.append('three'))).toMatchObject({ code: 'ERR_PERMISSION' });
    const read: string[] = [];
    for await (const { value } of log.read({ cursor: 'mine' })) read.push(value.toString());
    expect(read).toEqual(['one', 'two']);
    await log.cursor('known').set(2);
    await log.close();
    await live.kill();
    await using next = await Log.open(directory);
    expect([next.next, next.recovery?.setAside]).toEqual([2, []]);
    expect(next.cursors()).toEqual([
      { name: 'known', offset: 2, lag: 0 },
      { name: 'mine', offset: 2, lag: 0 },
    ]);
  });
});

test('readOnly takes no other words', async () => {
  const error = await failure(() => Log.open(newDirectory(), { readOnly: 'cursors' as never }));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
});
