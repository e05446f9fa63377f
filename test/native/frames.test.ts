import { expect, test } from 'vitest';
import {
  type Area,
  area,
  CHECKPOINT,
  check,
  DATA,
  END,
  INCARNATION,
  LINK,
  littleEndian,
  MAX_CAPACITY,
  native,
  ownMemory,
  PAD,
  POLYNOMIAL,
  SEED,
  seenByAnother,
  shiftIn,
} from './frame-area.js';

test(`a checksum is what the format says, of every length (seed ${SEED})`, async () => {
  const { file, memory } = await area(2 << 20);
  const payloads = [...Array(71).keys(), 751, 752, 753, 1000, 4096, 12_271, 12_272, 12_273, 50_000, 400_001];
  // A header of 32 bytes is one of 16 with as many more bytes behind it.
  for (const header of [16, 32]) {
    const frames = payloads.map((payload) => [DATA, header + payload]);
    const places = memory.lay(4096, 77, frames);
    const end = places.pop() as number;
    const before = memory.bytes.slice();
    expect(native.sumFrames(file, 4096, end, 77, INCARNATION)).toBe(end);
    expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
    expect(check(memory, 4096, end, 77)).toBe(end);
    for (const at of places) memory.setChecksum(at, 0);
    expect(Buffer.compare(memory.bytes, before), 'nothing else has changed').toBe(0);
  }
});

test('frames of all kinds have checksums; a PAD has one of its header only', async () => {
  const { file, memory } = await area();
  const frames = [
    [DATA, 40],
    [CHECKPOINT, 50],
    [PAD, 4096],
    [0, 33],
    [9, 33],
    [PAD | 0x80, 100],
    [END | 0x80, 16],
    [LINK | 0x80, 40],
    [LINK, 40],
    [DATA, 16],
    [END, 16],
    [DATA, 17],
  ];
  const places = memory.lay(0, 0, frames);
  const end = places.pop() as number;
  expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  const [, , pad] = places;
  const behindLink = places[9];
  memory.bytes.fill(1, pad + 16, pad + 4096);
  expect(memory.checksum(pad)).toBe(memory.rightChecksum(pad));
  expect(check(memory, 0, end, 0)).toBe(behindLink);
});

test('the incarnation is part of every checksum', async () => {
  const { file, memory } = await area();
  const [at, end] = memory.lay(64, 5, [[DATA, 100]]);
  const sums = [0, 1, INCARNATION, 0xffffffff].map((incarnation) => {
    memory.setChecksum(at, 0);
    expect(native.sumFrames(file, at, end, 5, incarnation)).toBe(end);
    expect(memory.checksum(at)).toBe(memory.rightChecksum(at, incarnation));
    expect(native.checkFrames(memory.bytes, at, end, 5, incarnation, end)).toBe(end);
    expect(native.checkFrames(memory.bytes, at, end, 5, incarnation ^ 1, end)).toBe(at);
    return memory.checksum(at);
  });
  expect(new Set(sums).size).toBe(4);
  // As a u32 or as the i32 that a typed array may have it as.
  memory.setChecksum(at, 0);
  expect(native.sumFrames(file, at, end, 5, INCARNATION | 0)).toBe(end);
  expect(memory.checksum(at)).toBe(memory.rightChecksum(at));
  expect(native.checkFrames(memory.bytes, at, end, 5, INCARNATION | 0, end)).toBe(end);
});

test('a checksum that is there stays, right or wrong', async () => {
  const { file, memory } = await area();
  const [first, second, end] = memory.lay(0, 0, [
    [DATA, 100],
    [DATA, 100],
  ]);
  memory.setChecksum(first, 12345);
  expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
  expect(memory.checksum(first)).toBe(12345);
  expect(memory.checksum(second)).toBe(memory.rightChecksum(second));
  expect(check(memory, 0, end, 0)).toBe(first);
});

test('a checksum that comes to 0 is stored as 1', async () => {
  const { file, memory } = await area();
  const [at, end] = memory.lay(0, 3, [[DATA, 32]]);
  // The bits that the last word needs: the register goes back from what would make it 0.
  let register = -1;
  for (let bit = 0; bit < 32; bit++) {
    register = register < 0 ? ((register ^ POLYNOMIAL) << 1) | 1 : register << 1;
  }
  const before = shiftIn(shiftIn(-1, littleEndian(INCARNATION)), memory.bytes.subarray(at, at + 28));
  memory.bytes.set(littleEndian(before ^ register), at + 28);
  const all = Uint8Array.of(...littleEndian(INCARNATION), ...memory.bytes.subarray(at, end));
  expect(native.crc32c(all, 0, all.length, 0)).toBe(0);
  expect(native.sumFrames(file, at, end, 3, INCARNATION)).toBe(end);
  expect(memory.checksum(at)).toBe(1);
  expect(check(memory, at, end, 3)).toBe(end);
  memory.setChecksum(at, 0);
  expect(check(memory, at, end, 3)).toBe(at);
});

test('any bit that a checksum covers is seen, and no other', async () => {
  const { file, memory } = await area();
  const places = memory.lay(32, 9, [
    [DATA, 48],
    [DATA, 37],
    [PAD, 48],
    [DATA, 32],
  ]);
  const [, second, pad, fourth, end] = places;
  expect(native.sumFrames(file, 32, end, 9, INCARNATION)).toBe(end);
  const stopsWith = (at: number, bit: number) => {
    memory.bytes[at] ^= 1 << bit;
    const stop = check(memory, 32, end, 9);
    memory.bytes[at] ^= 1 << bit;
    return stop;
  };
  for (let at = second; at < fourth; at++) {
    const meansNothing = (at >= second + 37 && at < pad) || at >= pad + 16;
    const expected = meansNothing ? end : at < pad ? second : pad;
    for (let bit = 0; bit < 8; bit++) expect(stopsWith(at, bit), `bit ${bit} at ${at}`).toBe(expected);
  }
  expect(check(memory, 32, end, 9)).toBe(end);
});

const NONSENSE: Record<string, (memory: Area, at: number, stamp: number, room: number) => void> = {
  'length 0': (memory, at, stamp) => memory.put(at, DATA, 0, stamp),
  'length 1': (memory, at, stamp) => memory.put(at, DATA, 1, stamp),
  'length 15': (memory, at, stamp) => memory.put(at, DATA, 15, stamp),
  'a PAD of length 15': (memory, at, stamp) => memory.put(at, PAD, 15, stamp),
  'length -1': (memory, at, stamp) => memory.put(at, DATA, -1, stamp),
  'length -16': (memory, at, stamp) => memory.put(at, DATA, -16, stamp),
  'the least length': (memory, at, stamp) => memory.put(at, DATA, -(2 ** 31), stamp),
  'the largest length': (memory, at, stamp) => memory.put(at, DATA, 2 ** 31 - 1, stamp),
  'one byte past the end': (memory, at, stamp, room) => memory.put(at, DATA, room + 1, stamp),
  'a unit past the end': (memory, at, stamp, room) => memory.put(at, END, room + 16, stamp),
  'a PAD longer than any channel': (memory, at, stamp) => memory.put(at, PAD, MAX_CAPACITY + 1, stamp),
  'a PAD of length -1': (memory, at, stamp) => memory.put(at, PAD, -1, stamp),
  'the stamp before': (memory, at, stamp) => memory.put(at, DATA, 16, stamp - 1),
  'the stamp behind': (memory, at, stamp) => memory.put(at, DATA, 16, stamp + 1),
  'a stamp of another lap': (memory, at, stamp) => memory.put(at, PAD, 16, stamp + 4096),
};

test.each(Object.entries(NONSENSE))('frames end at %s', async (_, spoil) => {
  const { file, memory } = await area();
  const start = 1024;
  const places = memory.lay(start, 40, [
    [DATA, 48],
    [PAD, 16],
    [DATA, 30],
  ]);
  const bad = places.pop() as number;
  const end = bad + 256;
  memory.lay(bad + 16, 40 + (bad + 16 - start) / 16, [[DATA, 240]]);
  spoil(memory, bad, 40 + (bad - start) / 16, end - bad);
  const behind = memory.bytes.slice(bad);
  // Nobody asks for checksums: only the header can be what is wrong.
  expect(check(memory, start, end, 40, 0)).toBe(bad);
  expect(native.sumFrames(file, start, end, 40, INCARNATION)).toBe(bad);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(Buffer.compare(memory.bytes.subarray(bad), behind)).toBe(0);
  for (const at of places) memory.setChecksum(at, 0);
  expect(await native.flushFrames(file, start, end, 40, INCARNATION, true)).toBe(bad);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(check(memory, start, end, 40)).toBe(bad);
  expect(check(memory, bad, end, 40 + (bad - start) / 16)).toBe(bad);
});

test('frames end where no header fits any more, and a stretch may be empty', async () => {
  const { file, memory } = await area();
  const [at, next, last] = memory.lay(0, 1, [
    [DATA, 20],
    [PAD, 16],
  ]);
  for (const end of [next, next + 1, next + 8, next + 15]) {
    memory.setChecksum(at, 0);
    expect(native.sumFrames(file, 0, end, 1, INCARNATION)).toBe(next);
    expect(memory.checksum(at)).toBe(memory.rightChecksum(at));
    expect(check(memory, 0, end, 1)).toBe(next);
    expect(memory.checksum(next)).toBe(0);
  }
  expect(native.sumFrames(file, 0, last, 1, INCARNATION)).toBe(last);
  expect(memory.checksum(next)).toBe(memory.rightChecksum(next));
  const before = memory.bytes.slice();
  for (const empty of [0, 16, 32, memory.bytes.length]) {
    expect(native.sumFrames(file, empty, empty, 2, INCARNATION)).toBe(empty);
    expect(check(memory, empty, empty, 2)).toBe(empty);
  }
  expect(Buffer.compare(memory.bytes, before)).toBe(0);
});

test('stamps go over 2^32', async () => {
  const { file, memory } = await area();
  const frames = [
    [DATA, 16],
    [DATA, 48],
    [DATA, 16],
  ];
  // The second frame lies across it, or begins with it.
  for (const first of [2 ** 32 - 2, 2 ** 32 - 1]) {
    for (const stamp of [first, first | 0]) {
      const places = memory.lay(0, first, frames);
      const end = places.pop() as number;
      expect(check(memory, 0, end, stamp, 0)).toBe(end);
      expect(native.sumFrames(file, 0, end, stamp, INCARNATION)).toBe(end);
      expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
      expect(check(memory, 0, end, stamp)).toBe(end);
      expect(check(memory, 0, end, stamp - 1, 0)).toBe(0);
    }
  }
});

test('a frame without a checksum is right from strictEnd on, one with a wrong checksum nowhere', () => {
  const memory = ownMemory();
  const frames = [
    [DATA, 40],
    [DATA, 64],
    [PAD, 32],
    [DATA, 16],
  ];
  const places = memory.lay(160, 10, frames);
  const [first, second, third, fourth, end] = places;
  for (const [strictEnd, stop] of [
    [-1, end],
    [0, end],
    [first, end],
    [first + 1, first],
    [second, first],
    [end, first],
    [2 ** 40, first],
  ]) {
    expect(check(memory, first, end, 10, strictEnd), `strict up to ${strictEnd}`).toBe(stop);
  }
  // What a flusher left: some have a checksum.
  for (const at of [first, second]) memory.setChecksum(at, memory.rightChecksum(at));
  for (const [strictEnd, stop] of [
    [0, end],
    [third, end],
    [third + 1, third],
    [end, third],
    [2 ** 40, third],
  ]) {
    expect(check(memory, first, end, 10, strictEnd), `strict up to ${strictEnd}`).toBe(stop);
  }
  memory.setChecksum(fourth, memory.rightChecksum(fourth));
  expect(check(memory, first, end, 10, third)).toBe(end);
  expect(check(memory, first, end, 10, end)).toBe(third);
  memory.setChecksum(fourth, memory.rightChecksum(fourth) ^ 0x8000);
  expect(check(memory, first, end, 10, 0)).toBe(fourth);
  memory.setChecksum(third, 1);
  expect(check(memory, first, end, 10, 0)).toBe(third);
});

test.each([
  ['END', END, 16],
  ['END with a header of 32 bytes', END, 32],
  ['LINK', LINK, 40],
])('a check ends behind %s, sums go on', async (_, kind, length) => {
  const { file, memory } = await area();
  const places = memory.lay(0, 0, [
    [DATA, 25],
    [kind, length],
    [DATA, 25],
    [kind, length],
  ]);
  const end = places.pop() as number;
  const [, last, behind] = places;
  expect(check(memory, 0, end, 0, 0)).toBe(behind);
  expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(check(memory, 0, end, 0)).toBe(behind);
  expect(check(memory, 0, behind, 0)).toBe(behind);
  expect(check(memory, behind, end, behind / 16)).toBe(end);
  memory.setChecksum(last, memory.rightChecksum(last) ^ 1);
  expect(check(memory, 0, end, 0)).toBe(last);
});

test('a PAD may go on behind the end, nothing else may', async () => {
  const { file, memory } = await area();
  for (const length of [17, 32, 33, 4096, MAX_CAPACITY]) {
    for (const room of [16, 20, 24]) {
      const [, pad] = memory.lay(0, 0, [
        [DATA, 50],
        [PAD, length],
      ]);
      const end = pad + room;
      expect(check(memory, 0, end, 0, 0)).toBe(end);
      expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
      expect(memory.checksum(pad)).toBe(memory.rightChecksum(pad));
      expect(check(memory, 0, end, 0)).toBe(end);
      memory.put(pad, DATA, length, pad / 16);
      expect(check(memory, 0, end, 0, 0)).toBe(pad);
      expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(pad);
      expect(memory.checksum(pad)).toBe(0);
    }
  }
  // At the file's end the memory ends, too.
  const last = memory.bytes.length - 16;
  memory.put(last, PAD, MAX_CAPACITY, 8);
  expect(native.sumFrames(file, last, last + 16, 8, INCARNATION)).toBe(last + 16);
  expect(memory.checksum(last)).toBe(memory.rightChecksum(last));
  expect(check(memory, last, last + 16, 8)).toBe(last + 16);
});

test('checkFrames takes any part of a mapping that is only read, and changes nothing', async () => {
  const { path, file, memory } = await area();
  const places = memory.lay(8192, 100, [
    [DATA, 1000],
    [DATA, 77],
  ]);
  const end = places[2];
  native.sumFrames(file, 8192, end, 100, INCARNATION);
  const before = memory.bytes.slice();
  const seen = seenByAnother(path);
  expect(check(seen, 8192, end, 100)).toBe(end);
  const part = seen.bytes.subarray(4096 + 4, end);
  expect(native.checkFrames(part, 4092, part.length, 100, INCARNATION, part.length)).toBe(part.length);
  memory.bytes[end - 20] ^= 4;
  expect(check(seen, 8192, end, 100)).toBe(places[1]);
  memory.bytes[end - 20] ^= 4;
  expect(Buffer.compare(memory.bytes, before)).toBe(0);
});
