import { expect, test } from 'vitest';
import { zstdFrameEnd } from '../../lib/channel/records/zstd-frame.js';

// As zstd made them; this test needs none.
test.each([
  ['of nothing', '28b52ffd2000010000'],
  ['in one segment', '28b52ffd203745000010616101003a0116'],
  ['with a checksum, a block that is not packed', '28b52ffd240529000068656c6c6fa36d9f88'],
  ['with a window', '28b52ffd00004d00001078780100272ac002'],
  ['of a size of four bytes', '28b52ffda08038010055000010616201007b38e50e0b'],
  // Made by hand: one byte eight times, then nothing.
  ['of two blocks, the first of one byte that repeats', '28b52ffd200842000061010000'],
])('a frame %s ends where it ends, whatever follows', (_, hex) => {
  const frame = Buffer.from(hex, 'hex');
  expect(zstdFrameEnd(frame)).toBe(frame.length);
  expect(zstdFrameEnd(Buffer.concat([frame, frame]))).toBe(frame.length);
  for (let length = 0; length < frame.length; length++) {
    expect(zstdFrameEnd(frame.subarray(0, length))).not.toBe(length);
  }
});

test('what begins otherwise is no frame', () => {
  expect(zstdFrameEnd(Buffer.from('502a4d1804000000aaaaaaaa', 'hex'))).toBeUndefined();
  expect(zstdFrameEnd(Buffer.alloc(20))).toBeUndefined();
});
