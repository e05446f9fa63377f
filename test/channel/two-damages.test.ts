import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { type MillraceError, Reader, verify, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { thrown } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';
import { flushWhileWriting } from './linear-channel.js';

const SIZE = 18;
const COUNT = 400;

interface Made {
  path: string;
  positions: number[];
  bytes: Buffer;
  /** The byte of the file at which a record's frame begins. */
  at: (record: number) => number;
}

/** A closed channel with checksums, of records of one size unless `payload` says otherwise. */
async function make(options: object = {}, payload = (n: number) => payloadOf(n, SIZE), count = COUNT) {
  const writer = await Writer.create(newPath(), { mode: 'linear', checksum: 'crc32c', ...options });
  const positions: number[] = [];
  for (let n = 0; n < count; n++) positions.push(writer.write(payload(n)));
  writer.close();
  return made(writer.path, positions);
}

function made(path: string, positions: number[]): Made {
  const bytes = readFileSync(path);
  const [data, capacity] = [L.DATA_OFFSET_OFFSET, L.CAPACITY_OFFSET].map((at) => bytes.readInt32LE(at));
  return { path, positions, bytes, at: (record) => data + (positions[record] % capacity) };
}

const headerOf = ({ bytes }: Made) => bytes.readInt32LE(L.FRAME_HEADER_OFFSET);

/** Reads to the end, goes on behind what is damaged, and holds each record against what was written under its number. */
function readOn(reader: Reader, payload = (n: number) => payloadOf(n, SIZE)) {
  const records: number[] = [];
  const faults: (number | undefined)[][] = [];
  for (;;) {
    try {
      const found = reader.read();
      if (found === undefined) return { records, faults };
      expect(found.data.equals(payload(found.record))).toBe(true);
      records.push(found.record);
    } catch (error) {
      const { code, position, next, record } = error as MillraceError;
      expect(code).toBe('ERR_CORRUPT');
      faults.push([position, next, record]);
      reader.seek(next as number);
    }
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const open = (path: string) => Reader.open(path, { from: 'oldest', verify: true, gate: false });

const DAMAGE: Record<string, (bytes: Buffer, frame: number) => void> = {
  'a length that is too large': (bytes, frame) => {
    bytes[frame + 3] ^= 0x40;
  },
  'a length of 0': (bytes, frame) => bytes.writeInt32LE(0, frame),
  'another stamp': (bytes, frame) => {
    bytes[frame + L.FRAME_STAMP_OFFSET] ^= 1;
  },
  'an unknown kind': (bytes, frame) => {
    bytes[frame + L.FRAME_KIND_OFFSET] ^= 0x40;
  },
  'a header of ones': (bytes, frame) => bytes.fill(0xff, frame, frame + 16),
};
const PAYLOAD = (bytes: Buffer, frame: number) => {
  bytes[frame + 20] ^= 1;
};

const SHAPES: Record<string, object> = {
  'a linear channel': {},
  'one with timestamps': { timestamps: true },
  'a ring': { mode: 'ring' },
  'a ring that wrapped': { mode: 'ring', capacity: '64KiB', timestamps: true },
};

describe.each(Object.keys(SHAPES))('in %s', (shape) => {
  const laps = shape.includes('wrapped');
  // A ring of 64 KiB has a mark each 4 KiB, which are 64 of these records: a stretch that lies within one.
  const spoiledIn = ({ positions }: Made, records: number[]) => {
    if (!laps) return [5, 300];
    const first = records.find((n) => positions[n] % 4096 === 0 && n > records[100]) as number;
    return [first + 5, first + 60];
  };

  test.each(Object.entries(DAMAGE))('two frames with %s hide nothing between them', async (_, damage) => {
    const channel = await make(SHAPES[shape], undefined, laps ? 1700 : COUNT);
    const { path, positions, bytes, at } = channel;
    const { records: whole } = readOn(await open(path));
    const spoiled = spoiledIn(channel, whole);
    for (const n of spoiled) damage(bytes, at(n));
    writeFileSync(path, bytes);
    using reader = await open(path);
    const { records, faults } = readOn(reader);
    expect(faults).toEqual(spoiled.map((n) => [positions[n], positions[n + 1], n + 1]));
    expect(records).toEqual(whole.filter((n) => !spoiled.includes(n)));
    const found = await verify(path);
    expect(found.faults.map(({ position, next }) => [position, next])).toEqual(
      spoiled.map((n) => [positions[n], positions[n + 1]]),
    );
    expect(found.records).toBe(whole.length - 2);
    for (const n of [spoiled[0] + 1, spoiled[0] + 20, spoiled[1] - 1, spoiled[1] + 1]) {
      for (const where of [{ record: n }, positions[n]]) {
        reader.seek(where);
        expect(reader.read()).toMatchObject({ record: n, position: positions[n] });
      }
    }
    for (const n of spoiled) {
      for (const where of [{ record: n }, positions[n]]) {
        reader.seek(where);
        expect(thrown(() => reader.read())).toMatchObject({ code: 'ERR_CORRUPT', position: positions[n] });
      }
    }
    reader.seek('latest');
    const back: number[] = [];
    const goBack = () => {
      for (const { record } of reader.backwards()) back.push(record);
    };
    for (const n of spoiled.toReversed()) {
      const fault = thrown(goBack) as MillraceError;
      expect(fault).toMatchObject({ code: 'ERR_CORRUPT', position: positions[n] });
      reader.seek(fault.position as number);
    }
    goBack();
    expect(back).toEqual(records.slice(-back.length).reverse());
    expect(back.length).toBeGreaterThan(laps ? 800 : 397);
  });
});

test.each([
  ['a payload, and a header', [PAYLOAD, DAMAGE['a length that is too large']]],
  ['a header, a payload, and a header', [DAMAGE['a length of 0'], PAYLOAD, DAMAGE['another stamp']]],
  ['three headers', [DAMAGE['a header of ones'], DAMAGE['an unknown kind'], DAMAGE['a length of 0']]],
])('%s: each is a fault of its own', async (_, damages) => {
  const { path, positions, bytes, at } = await make();
  const spoiled = [5, 300, 350].slice(0, damages.length);
  for (const [i, n] of spoiled.entries()) damages[i](bytes, at(n));
  writeFileSync(path, bytes);
  using reader = await open(path);
  const { records, faults } = readOn(reader);
  expect(faults).toEqual(spoiled.map((n) => [positions[n], positions[n + 1], n + 1]));
  expect(records).toEqual(numbers(0, COUNT).filter((n) => !spoiled.includes(n)));
});

describe('the number of the record behind damage', () => {
  const EIGHT = (n: number) => payloadOf(n, 8);

  test.each([
    ['as long as three of them', 24 + 2 * 32],
    ['that goes on behind the next mark', 0x20018],
  ])('is right where a frame behind it has a length %s', async (_, length) => {
    const { path, positions, bytes, at } = await make({ capacity: '4MiB' }, EIGHT, 4000);
    DAMAGE['a length of 0'](bytes, at(5));
    bytes.writeInt32LE(length, at(300));
    writeFileSync(path, bytes);
    using reader = await open(path);
    const { faults } = readOn(reader, EIGHT);
    expect(faults).toEqual([5, 300].map((n) => [positions[n], positions[n + 1], n + 1]));
  });

  test.each([
    ['a CHECKPOINT', L.KIND_CHECKPOINT, 0],
    ['the END', L.KIND_END, 0],
    ['the END, and its payload is damaged, too', L.KIND_END, 1],
  ])('is right where a record behind it says that it is %s', async (_, kind, change) => {
    const { path, positions, bytes, at } = await make({}, EIGHT);
    DAMAGE['a length of 0'](bytes, at(5));
    bytes[at(300) + L.FRAME_KIND_OFFSET] = kind;
    bytes[at(300) + 20] ^= change;
    writeFileSync(path, bytes);
    using reader = await open(path);
    const { faults } = readOn(reader, EIGHT);
    expect(faults).toEqual([5, 300].map((n) => [positions[n], positions[n + 1], n + 1]));
  });

  test.each([
    ['damaged', 300, DAMAGE['a header of ones']],
    [
      'made to say that it is a record',
      150,
      (bytes: Buffer, frame: number) => {
        bytes[frame + L.FRAME_KIND_OFFSET] = L.KIND_DATA;
      },
    ],
  ])('is right where it was a CHECKPOINT that was %s', async (_, other, damage) => {
    const text = 'eighteen bytes now';
    const payload = (n: number) => (n === 201 ? Buffer.from(text) : payloadOf(n, SIZE));
    const writer = await Writer.create(newPath(), { mode: 'linear', checksum: 'crc32c' });
    const positions = numbers(0, 201).map((n) => writer.write(payload(n)));
    positions.push(writer.position);
    await flushWhileWriting(writer, text);
    for (let n = 202; n < COUNT; n++) positions.push(writer.write(payload(n)));
    writer.close();
    const { path, bytes, at } = made(writer.path, positions);
    const checkpoint = positions[201] + 48;
    expect(positions[202]).toBe(checkpoint + 32);
    damage(bytes, at(201) + 48);
    DAMAGE['a header of ones'](bytes, at(other));
    writeFileSync(path, bytes);
    using reader = await open(path);
    const { records, faults } = readOn(reader, payload);
    expect(faults).toHaveLength(2);
    expect(faults).toContainEqual([checkpoint, positions[202], 202]);
    expect(faults).toContainEqual([positions[other], positions[other + 1], other + 1]);
    expect(records).toEqual(numbers(0, COUNT).toSpliced(other, 1));
  });

  test('is right where it was a PAD that was damaged', async () => {
    const { path, positions, bytes, at } = await make({ mode: 'ring', capacity: '64KiB' }, undefined, 1700);
    const last = Math.floor(65_536 / 48) - 1;
    const pad = positions[last] + 48;
    expect(positions[last + 1]).toBe(pad + 16);
    DAMAGE['a length of 0'](bytes, at(last - 20));
    DAMAGE['a header of ones'](bytes, at(last) + 48);
    writeFileSync(path, bytes);
    using reader = await open(path);
    expect(readOn(reader).faults).toEqual([
      [positions[last - 20], positions[last - 19], last - 19],
      [pad, positions[last + 1], last + 1],
    ]);
  });

  test('is never guessed: where nobody can tell which gap lost how many, what lies between is passed over', async () => {
    const { path, positions, bytes, at } = await make();
    for (const n of [5, 6, 300]) DAMAGE['a header of ones'](bytes, at(n));
    writeFileSync(path, bytes);
    using reader = await open(path);
    const { records, faults } = readOn(reader);
    expect(faults).toEqual([[positions[5], positions[301], 301]]);
    expect(records).toEqual([...numbers(0, 5), ...numbers(301, COUNT)]);
    for (const where of [{ record: 100 }, positions[100]]) {
      reader.seek(where);
      expect(thrown(() => reader.read())).toMatchObject({ code: 'ERR_CORRUPT', position: positions[5] });
    }
  });

  test('is counted on from before it where the damaged frame still says where it ends', async () => {
    const { path, positions, bytes, at } = await make();
    PAYLOAD(bytes, at(5));
    for (const n of [300, 301]) DAMAGE['a header of ones'](bytes, at(n));
    writeFileSync(path, bytes);
    using reader = await open(path);
    expect(readOn(reader).faults).toEqual([
      [positions[5], positions[6], 6],
      [positions[300], positions[302], 302],
    ]);
  });
});

describe('of what only looks like frames nothing is handed out', () => {
  /** The payload of a record, 16 frames of 48 bytes long, is to be filled in once it is known where it lies. */
  const LONG = 100;
  const payload = (n: number) => payloadOf(n, n === LONG ? 16 * 48 : SIZE);

  function sum(bytes: Buffer, frame: number, incarnation: number): void {
    const length = bytes.readInt32LE(frame);
    bytes.writeUInt32LE(0, frame + L.FRAME_CRC_OFFSET);
    const word = Buffer.alloc(4);
    word.writeUInt32LE(incarnation >>> 0);
    const summed = Buffer.concat([word, bytes.subarray(frame, frame + length)]);
    bytes.writeUInt32LE(binding().crc32c(summed, 0, summed.length, 0) >>> 0, frame + L.FRAME_CRC_OFFSET);
  }

  const FORGED: Record<string, (channel: Made, frame: number, i: number, position: number) => void> = {
    'copies of true frames from elsewhere': ({ bytes, at }, frame, i) => {
      bytes.copy(bytes, frame, at(200 + i), at(200 + i) + 48);
    },
    'frames that belong there, without checksums': ({ bytes, at }, frame, i, position) => {
      bytes.copy(bytes, frame, at(200 + i), at(200 + i) + 48);
      bytes.writeInt32LE(position / 16, frame + L.FRAME_STAMP_OFFSET);
      bytes.writeInt32LE(0, frame + L.FRAME_CRC_OFFSET);
    },
    'frames of another channel that belong there': ({ bytes, at }, frame, i, position) => {
      bytes.copy(bytes, frame, at(200 + i), at(200 + i) + 48);
      bytes.writeInt32LE(position / 16, frame + L.FRAME_STAMP_OFFSET);
      sum(bytes, frame, bytes.readInt32LE(L.INCARNATION_OFFSET) ^ 1);
    },
  };

  test.each(Object.keys(FORGED))('%s, in a damaged record', async (name) => {
    const channel = await make({}, payload);
    const { path, positions, bytes, at } = channel;
    const header = headerOf(channel);
    for (let i = 0; i < 15; i++) {
      FORGED[name](channel, at(LONG) + header + i * 48, i, positions[LONG] + header + i * 48);
    }
    for (const n of [LONG, 300]) DAMAGE['a header of ones'](bytes, at(n));
    writeFileSync(path, bytes);
    for (const checks of [true, false]) {
      using reader = await Reader.open(path, { from: 'oldest', verify: checks });
      const { records, faults } = readOn(reader, payload);
      expect(faults).toEqual([LONG, 300].map((n) => [positions[n], positions[n + 1], n + 1]));
      expect(records).toEqual(numbers(0, COUNT).filter((n) => n !== LONG && n !== 300));
    }
  });

  test('a frame of an unknown kind is none, whatever its checksum', async () => {
    const { path, positions, bytes, at } = await make();
    DAMAGE['a header of ones'](bytes, at(5));
    bytes[at(100) + L.FRAME_KIND_OFFSET] = 99;
    sum(bytes, at(100), bytes.readInt32LE(L.INCARNATION_OFFSET));
    writeFileSync(path, bytes);
    using reader = await open(path);
    expect(readOn(reader).faults).toEqual([5, 100].map((n) => [positions[n], positions[n + 1], n + 1]));
  });

  test('a frame that goes beyond others that are true is none', async () => {
    const { path, positions, bytes, at } = await make();
    DAMAGE['a header of ones'](bytes, at(5));
    bytes.writeInt32LE(3 * 48, at(6));
    writeFileSync(path, bytes);
    for (const checks of [true, false]) {
      using reader = await Reader.open(path, { from: 'oldest', verify: checks });
      expect(readOn(reader).faults).toEqual([[positions[5], positions[7], 7]]);
    }
  });

  test('nothing is trusted that leads to damage in a channel without checksums', async () => {
    const { path, positions, bytes, at } = await make({ checksum: 'none' });
    for (const n of [5, 300]) DAMAGE['a header of ones'](bytes, at(n));
    writeFileSync(path, bytes);
    using reader = await Reader.open(path, { from: 'oldest' });
    expect(readOn(reader).faults).toEqual([[positions[5], positions[301], 301]]);
  });

  test('and however many there are in one payload, they are not all summed to their ends', async () => {
    const size = 4 * 2 ** 20;
    const large = (n: number) => (n === LONG ? Buffer.alloc(size) : payloadOf(n, SIZE));
    const { path, positions, bytes, at } = await make({ capacity: '32MiB' }, large);
    for (let i = 16; i < size; i += 16) {
      const frame = at(LONG) + i;
      bytes.writeInt32LE(size - i, frame);
      bytes[frame + L.FRAME_KIND_OFFSET] = L.KIND_DATA;
      bytes.writeInt32LE((positions[LONG] + i) / 16, frame + L.FRAME_STAMP_OFFSET);
      bytes.writeInt32LE(1, frame + L.FRAME_CRC_OFFSET);
    }
    DAMAGE['a header of ones'](bytes, at(LONG));
    writeFileSync(path, bytes);
    using reader = await open(path);
    reader.seek({ record: LONG });
    const fault = thrown(() => reader.read()) as MillraceError;
    expect(fault).toMatchObject({ code: 'ERR_CORRUPT', position: positions[LONG] });
    reader.seek({ record: LONG + 1 });
    expect(reader.read()?.data.equals(payloadOf(LONG + 1, SIZE))).toBe(true);
  });

  test('and frames that have lost their checksums are not looked through again for each that is passed over', async () => {
    const { path, positions, bytes, at } = await make();
    const lost = numbers(50, 350);
    for (const n of lost) bytes.writeInt32LE(0, at(n) + L.FRAME_CRC_OFFSET);
    writeFileSync(path, bytes);
    using reader = await open(path);
    // What was found of a stretch is kept; the addon's calls can't be counted.
    const kept = vi.spyOn(WeakMap.prototype, 'set');
    try {
      const { records, faults } = readOn(reader);
      expect(faults).toEqual(lost.map((n) => [positions[n], positions[n + 1], n + 1]));
      expect(records).toEqual(numbers(0, COUNT).filter((n) => !lost.includes(n)));
      const lookedThrough = kept.mock.calls.filter(([, found]) => 'behind' in Object(found));
      expect(lookedThrough).toHaveLength(1);
    } finally {
      kept.mockRestore();
    }
  });
});
