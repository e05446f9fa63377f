import { expect, test } from 'vitest';
import { numberIn, run, testInterruptions } from './example.js';

test('a file arrives as it was, and the one who sends waits for the one who receives', async () => {
  const { code, text, left } = await run('streams');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  const size = numberIn(text, /of (\d+) bytes of its file$/m);
  const capacity = numberIn(text, /in a channel of (\d+)$/m);
  expect(size).toBeGreaterThan(10 * capacity);
  // What is between the file and the channel, in streams, is not much.
  expect(numberIn(text, /^the receiver takes nothing: the sender stands still after (\d+)/m)).toBeLessThan(
    size / 4,
  );
  expect(numberIn(text, /^under way: (\d+) bytes/m)).toBeLessThanOrEqual(capacity);

  const took = /^the receiver took all: (\d+) bytes, as (\d+) in the channel$/m.exec(text);
  expect(Number(took?.[1])).toBe(size);
  // It was compressed, and it all went through the channel: a hash in hexadecimal digits can't get below a half.
  expect(Number(took?.[2])).toBeGreaterThan(size / 2);
  expect(Number(took?.[2])).toBeLessThan(size);

  const hashes = [...text.matchAll(/^(?:sent|received) +([0-9a-f]{64})$/gm)].map(([, hash]) => hash);
  expect(hashes).toHaveLength(2);
  expect(hashes[1]).toBe(hashes[0]);
});

testInterruptions('streams', /stands still/);
