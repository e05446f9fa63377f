import * as L from '../../dist/channel/layout.js';

/** Numbers that lengths, positions and states should not have. */
const INTERESTING = [
  0,
  1,
  2,
  3,
  4,
  5,
  15,
  16,
  17,
  31,
  32,
  33,
  48,
  4096,
  8192,
  16384,
  65535,
  65536,
  65552,
  2 ** 20,
  2 ** 24,
  2 ** 30,
  -1,
  -2,
  -15,
  -16,
  -17,
  -32,
  -65536,
  0x7fffffff,
  0x7ffffff1,
  0x7ffffff0,
  0x7fffffef,
  -0x80000000,
  -0x7ffffff0,
];

const SPLIT_WORDS = [
  L.FINAL_POSITION_OFFSET,
  L.TAIL_OFFSET,
  L.RECORD_COUNT_OFFSET,
  L.LIMIT_OFFSET,
  L.DURABLE_OFFSET,
];
const WORDS = [
  L.STATE_OFFSET,
  L.REASON_OFFSET,
  L.HEARTBEAT_OFFSET,
  L.WRITER_PID_OFFSET,
  L.WRITER_START_OFFSET,
  L.WAKE_SEQUENCE_OFFSET,
  L.WAITERS_OFFSET,
  L.ROOM_WANTED_OFFSET,
  L.ROOM_SEQUENCE_OFFSET,
  L.REGISTRATION_OFFSET,
  ...SPLIT_WORDS.flatMap((offset) => [offset, offset + 4, offset + 8]),
];

/**
 * One change to `bytes`, of a channel of this shape whose frames start at `frames`; the random numbers decide which.
 * Leaves the static part alone: that has a checksum. Returns the ranges it changed.
 */
export function mutate(bytes, shape, frames, random) {
  const target = pickTarget(shape, frames, random);
  switch (random(8)) {
    case 0:
    case 1:
      bytes[target] ^= 1 << random(8);
      return [[target, 1]];
    case 2:
    case 3:
    case 4: {
      const word = target & ~3;
      bytes.writeInt32LE(INTERESTING[random(INTERESTING.length)], word);
      return [[word, 4]];
    }
    case 5: {
      const word = target & ~3;
      const change = [-1, 1, -16, 16, 64, -64, 2 ** 16, -(2 ** 16)][random(8)];
      bytes.writeInt32LE((bytes.readInt32LE(word) + change) | 0, word);
      return [[word, 4]];
    }
    case 6: {
      const start = target & ~15;
      const length = Math.min(16 << random(9), bytes.length - start);
      if (random(2) === 0) bytes.fill(0, start, start + length);
      else for (let at = start; at < start + length; at++) bytes[at] = random(256);
      return [[start, length]];
    }
    default:
      return copyRange(bytes, target & ~15, pickTarget(shape, frames, random) & ~15, 16 << random(6), random);
  }
}

function copyRange(bytes, to, from, wanted, random) {
  const length = Math.min(wanted, bytes.length - to, bytes.length - from);
  const there = Buffer.from(bytes.subarray(to, to + length));
  bytes.copy(bytes, to, from, from + length);
  if (random(2) === 0) return [[to, length]];
  there.copy(bytes, from);
  return [
    [to, length],
    [from, length],
  ];
}

function pickTarget({ readersOffset, metadataOffset, marksOffset, dataOffset, bytes }, frames, random) {
  switch (random(10)) {
    case 0:
    case 1:
      return WORDS[random(WORDS.length)];
    case 2:
      return metadataOffset > readersOffset
        ? readersOffset + random(metadataOffset - readersOffset)
        : L.STATE_OFFSET;
    case 3:
    case 4:
      return marksOffset + random(dataOffset - marksOffset);
    case 5:
      return dataOffset + random(bytes - dataOffset);
    default:
      return frames[random(frames.length)] + random(16);
  }
}
