import * as L from '../../dist/channel/layout.js';
import { binding } from '../../dist/native.js';

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
  L.WRITER_BOOT_OFFSET,
  L.WAKE_SEQUENCE_OFFSET,
  L.WAITERS_OFFSET,
  L.ROOM_WANTED_OFFSET,
  L.ROOM_SEQUENCE_OFFSET,
  L.REGISTRATION_OFFSET,
  ...SPLIT_WORDS.flatMap((offset) => [offset, offset + 4, offset + 8]),
];

const PAGE = 4096;
const SECTOR = 512;

/**
 * One change to `bytes`, of a channel with this layout and these frames; the random numbers decide which. `images` are
 * the file as it was before. Returns the ranges it changed.
 */
export function mutate(bytes, { layout, frames }, images, random) {
  const target = pickTarget(layout, frames, random);
  switch (random(14)) {
    case 0:
    case 1:
    case 2:
      bytes[target] ^= 1 << random(8);
      return [[target, 1]];
    case 3:
    case 4:
    case 5: {
      const word = target & ~3;
      bytes.writeInt32LE(INTERESTING[random(INTERESTING.length)], word);
      return [[word, 4]];
    }
    case 6: {
      const word = target & ~3;
      const change = [-1, 1, -16, 16, 64, -64, 2 ** 16, -(2 ** 16)][random(8)];
      bytes.writeInt32LE((bytes.readInt32LE(word) + change) | 0, word);
      return [[word, 4]];
    }
    case 7: {
      const start = target & ~15;
      const length = Math.min(16 << random(9), bytes.length - start);
      if (random(2) === 0) bytes.fill(0, start, start + length);
      else for (let at = start; at < start + length; at++) bytes[at] = random(256);
      return [[start, length]];
    }
    case 8:
      return copyRange(
        bytes,
        target & ~15,
        pickTarget(layout, frames, random) & ~15,
        16 << random(6),
        random(2),
      );
    case 9:
      return moveFrame(bytes, frames, random);
    case 10: {
      const other = Math.floor(pickTarget(layout, frames, random) / PAGE) * PAGE;
      return copyRange(bytes, Math.floor(target / PAGE) * PAGE, other, PAGE, random(2));
    }
    default: {
      const unit = random(2) === 0 ? PAGE : SECTOR;
      const start = Math.floor(target / unit) * unit;
      const image = images[random(images.length + 1)];
      if (image === undefined) bytes.fill(0, start, start + unit);
      else image.copy(bytes, start, start, start + unit);
      return [[start, unit]];
    }
  }
}

/** Copies a range to another place, or has the two change places. */
function copyRange(bytes, to, from, wanted, both) {
  const length = Math.min(wanted, bytes.length - to, bytes.length - from);
  const there = Buffer.from(bytes.subarray(to, to + length));
  bytes.copy(bytes, to, from, from + length);
  if (both === 0) return [[to, length]];
  there.copy(bytes, from);
  return [
    [to, length],
    [from, length],
  ];
}

/** A frame takes the place of another one, or both change places; half of them say that they belong there. */
function moveFrame(bytes, frames, random) {
  const [to, from] = [frames[random(frames.length)], frames[random(frames.length)]];
  const longer = (Math.max(to.length, from.length) + 15) & -16;
  const ranges = copyRange(bytes, to.at, from.at, longer, random(2));
  if (random(2) === 0) {
    bytes.writeInt32LE((to.position / 16) | 0, to.at + L.FRAME_STAMP_OFFSET);
    if (ranges.length > 1) bytes.writeInt32LE((from.position / 16) | 0, from.at + L.FRAME_STAMP_OFFSET);
  }
  return ranges;
}

/** A change to the static part that its checksum agrees with, as one makes that means harm. */
export function forge(bytes, { metadataOffset }, random) {
  const word = random(L.STATIC_BYTES) & ~3;
  const value = [
    () => INTERESTING[random(INTERESTING.length)],
    () => bytes.readInt32LE(word) ^ (1 << random(32)),
  ];
  bytes.writeInt32LE(value[random(2)](), word);
  const head = Buffer.from(bytes.subarray(0, L.STATIC_BYTES));
  head.writeInt32LE(0, L.STATIC_CRC_OFFSET);
  const crc = binding().crc32c(head, 0, head.length, 0);
  const all = binding().crc32c(bytes, metadataOffset, metadataOffset + L.METADATA_BYTES, crc);
  bytes.writeInt32LE(all, L.STATIC_CRC_OFFSET);
  return [[0, L.STATIC_BYTES]];
}

function pickTarget(layout, frames, random) {
  const { readersOffset, metadataOffset, marksOffset, marksEnd, dataOffset, bytes } = layout;
  const roll = random(32);
  if (roll === 0) return random(L.STATIC_BYTES);
  if (roll === 1) return L.STATIC_BYTES + random(L.HEADER_BYTES - L.STATIC_BYTES);
  if (roll < 7) return WORDS[random(WORDS.length)];
  if (roll < 10) return readersOffset + random(metadataOffset - readersOffset);
  if (roll === 10) return metadataOffset + random(L.METADATA_BYTES);
  if (roll < 15) return marksOffset + random(marksEnd - marksOffset);
  if (roll < 18) return dataOffset + random(bytes - dataOffset);
  const { at, length } = frames[random(frames.length)];
  // Its header, or any byte of it, the padding behind it too.
  return at + (roll < 27 ? random(16) : random((length + 15) & -16));
}
