import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { inspect, type MillraceError, Reader, verify, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { runFlips } from '../soak/flips.js';
import { runMutations } from '../soak/mutations.js';
import { runTruncations } from '../soak/truncations.js';

const SEED = 7;
const MUTATIONS = 5000;
const FLIPS = 3000;
const TRUNCATIONS = 320;

test(`${MUTATIONS} mutations: no crash, no hang, no memory without bound; what checksums cover is true or an error`, async () => {
  const summary = await runMutations({ count: MUTATIONS, seed: SEED, directory: newDirectory() });
  expect(summary.failures).toEqual([]);
  expect(summary.cases).toBe(MUTATIONS);
  // It did read, and it did notice.
  expect(summary.outcomes.records).toBeGreaterThan(100 * MUTATIONS);
  expect(summary.outcomes.ERR_CORRUPT).toBeGreaterThan(MUTATIONS / 4);
  expect(summary.outcomes['read to the end']).toBeGreaterThan(MUTATIONS / 4);
  expect(summary.outcomes['records read back']).toBeGreaterThan(MUTATIONS / 20);
  expect(summary.outcomes['healed of a torn end']).toBeGreaterThan(MUTATIONS / 50);
}, 180_000);

test(`${FLIPS} bits flipped in a closed channel with checksums: each record is as it was written, or an error`, async () => {
  const summary = await runFlips({ count: FLIPS, seed: SEED, directory: newDirectory() });
  expect(summary.failures).toEqual([]);
  expect(summary.cases).toBe(FLIPS);
  expect(summary.outcomes['records: ERR_CORRUPT']).toBeGreaterThan(FLIPS / 2);
  expect(summary.outcomes).not.toHaveProperty('records: all of it read');
}, 120_000);

test(`a closed channel cut to ${TRUNCATIONS} lengths is not opened, and nobody dies of it`, async () => {
  const summary = await runTruncations({ count: TRUNCATIONS, seed: SEED, directory: newDirectory() });
  expect(summary.failures).toEqual([]);
  expect(summary.cases).toBe(TRUNCATIONS);
  expect(summary.outcomes).toEqual({ ERR_TRUNCATED: 5 * TRUNCATIONS });
}, 120_000);

interface Made {
  path: string;
  /** Position of each record. */
  positions: number[];
  dataOffset: number;
  capacity: number;
}

const lengthOf = (n: number) => (n % 37 === 0 ? 5000 : (n * 13) % 300);

async function make(mode: 'ring' | 'linear', ending: 'closed' | 'dead', records: number): Promise<Made> {
  const path = newPath();
  const { writer, crash } = await mortal(() =>
    Writer.create(path, { mode, capacity: 131072, timestamps: true }),
  );
  const positions: number[] = [];
  for (let n = 0; n < records; n++) {
    positions.push(writer.write(payloadOf(n, lengthOf(n)), { timestamp: { us: 1_000_000 + n } }));
  }
  writer.heartbeat();
  if (ending === 'closed') writer.close();
  else crash();
  return {
    path,
    positions,
    dataOffset: readFileSync(path).readInt32LE(L.DATA_OFFSET_OFFSET),
    capacity: 131072,
  };
}

/** The byte of the file at which a record's frame begins. */
const at = ({ dataOffset, positions, capacity }: Made, record: number) =>
  dataOffset + (positions[record] % capacity);

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Reads to the end, passing over what is damaged as the error says. */
function readPastDamage(reader: Reader) {
  const records: number[] = [];
  const damage: MillraceError[] = [];
  for (;;) {
    try {
      const record = reader.read();
      if (record === undefined) return { records, damage };
      if (record.data.equals(payloadOf(record.record, lengthOf(record.record)))) records.push(record.record);
    } catch (error) {
      damage.push(error as MillraceError);
      const { next } = error as MillraceError;
      if (damage.length > 3 || next === undefined) throw error;
      reader.seek(next);
    }
  }
}

const DAMAGE: Record<string, (bytes: Buffer, frame: number) => void> = {
  'a length of 0': (bytes, frame) => bytes.writeInt32LE(0, frame),
  'a negative length': (bytes, frame) => bytes.writeInt32LE(-48, frame),
  'a length below that of its header': (bytes, frame) => bytes.writeInt32LE(31, frame),
  'a length beyond the file': (bytes, frame) => bytes.writeInt32LE(0x7ffffff0, frame),
  'a length that overflows when it is rounded': (bytes, frame) => bytes.writeInt32LE(0x7fffffff, frame),
  'an unknown kind': (bytes, frame) => bytes.writeUInt8(99, frame + L.FRAME_KIND_OFFSET),
  'a foreign stamp': (bytes, frame) => bytes.writeInt32LE(12345, frame + L.FRAME_STAMP_OFFSET),
  'a header of zeros': (bytes, frame) => bytes.fill(0, frame, frame + 32),
  'a header of ones': (bytes, frame) => bytes.fill(0xff, frame, frame + 32),
};

describe.each(['ring', 'linear'] as const)('in a %s channel', (mode) => {
  test.each(Object.keys(DAMAGE))('a frame with %s costs that frame alone', async (name) => {
    // The ring wraps, so that it has a PAD and bytes of an earlier lap.
    const made = await make(mode, 'closed', mode === 'ring' ? 700 : 340);
    const whole = readFileSync(made.path);
    using intact = await Reader.open(made.path, { from: 'oldest' });
    const { records: present } = readPastDamage(intact);
    expect(present.length).toBeGreaterThan(250);
    for (const at of [0, 1, 100, 150, 151, 152, 200, present.length - 2, present.length - 1]) {
      const record = present[at];
      const position = made.positions[record];
      const bytes = Buffer.from(whole);
      DAMAGE[name](bytes, made.dataOffset + (position % made.capacity));
      writeFileSync(made.path, bytes);
      using reader = await Reader.open(made.path, {
        from: 'oldest',
        gate: at % 2 === 0,
        register: at % 2 === 0,
      });
      const { records, damage } = readPastDamage(reader);
      expect(records).toEqual(present.toSpliced(at, 1));
      expect(damage).toMatchObject([{ code: 'ERR_CORRUPT', path: made.path, position }]);
      expect(damage[0].next).toBe(made.positions[record + 1] ?? inspect(made.path).finalPosition);
      expect(reader.ended).toBe(true);
      for (const other of [present[0], record + 1, record + 2, present.at(-1) as number]) {
        if (other === record || other >= made.positions.length) continue;
        reader.seek({ record: other });
        expect(reader.read()?.record).toBe(other);
        reader.seek(made.positions[other]);
        expect(reader.read()?.record).toBe(other);
      }
    }
  });

  test('behind several damaged frames records have their own numbers, and who seeks one of those hears of it', async () => {
    const made = await make(mode, 'closed', 340);
    const spoiled = [200, 201, 202];
    const position = made.positions[200];
    const bytes = readFileSync(made.path);
    for (const n of spoiled) bytes.fill(0xff, at(made, n), at(made, n) + 32);
    writeFileSync(made.path, bytes);
    using reader = await Reader.open(made.path);
    reader.seek({ record: 190 });
    const { records, damage } = readPastDamage(reader);
    expect(records).toEqual(numbers(190, 340).filter((n) => !spoiled.includes(n)));
    expect(damage).toMatchObject([{ code: 'ERR_CORRUPT', position, next: made.positions[203], record: 203 }]);
    for (const n of spoiled) {
      for (const where of [{ record: n }, { time: { us: 1_000_000 + n } }, made.positions[n]]) {
        reader.seek(where);
        expect(thrown(() => reader.read())).toMatchObject({ code: 'ERR_CORRUPT', position });
      }
    }
    for (const where of [{ record: 204 }, { time: { us: 1_000_204 } }, made.positions[204]]) {
      reader.seek(where);
      expect(reader.read()?.record).toBe(204);
    }
    reader.seek('latest');
    const back: number[] = [];
    expect(
      thrown(() => {
        for (const { record } of reader.backwards()) back.push(record);
      }),
    ).toMatchObject({ code: 'ERR_CORRUPT' });
    expect(back.slice(0, 100)).toEqual(numbers(240, 340).reverse());
    // Of the last one's time none is left behind it.
    for (const n of [338, 339]) bytes.fill(0xff, at(made, n), at(made, n) + 32);
    writeFileSync(made.path, bytes);
    using again = await Reader.open(made.path, { from: { time: { us: 1_000_339 } } });
    expect(thrown(() => again.read())).toMatchObject({ code: 'ERR_CORRUPT', position: made.positions[338] });
  });

  test('who reads backwards goes on in front of what is damaged', async () => {
    const made = await make(mode, 'closed', 340);
    const bytes = readFileSync(made.path);
    for (const n of [201, 300]) bytes.fill(0xff, at(made, n), at(made, n) + 32);
    writeFileSync(made.path, bytes);
    using reader = await Reader.open(made.path, { from: 'latest' });
    const back: number[] = [];
    const read = () => {
      for (const { record } of reader.backwards()) back.push(record);
    };
    for (const n of [300, 201]) {
      const fault = thrown(read) as MillraceError;
      expect(fault).toMatchObject({ code: 'ERR_CORRUPT', position: made.positions[n] });
      reader.seek(fault.position as number);
    }
    read();
    expect(back).toEqual(
      numbers(back.at(-1) as number, 340)
        .filter((n) => n !== 201 && n !== 300)
        .reverse(),
    );
    expect(back.length).toBeGreaterThan(200);
  });

  test('a dead writer does not go on behind damage, and changes nothing', async () => {
    const made = await make(mode, 'dead', 340);
    const bytes = readFileSync(made.path);
    // The last one: what lies below the last mark but one is not walked again.
    const position = made.positions[339];
    bytes.writeInt32LE(-1, made.dataOffset + (position % made.capacity));
    writeFileSync(made.path, bytes);
    const error = await failure(() => Writer.resume(made.path));
    expect(error).toMatchObject({ code: 'ERR_CORRUPT', path: made.path, position });
    expect(readFileSync(made.path).equals(bytes)).toBe(true);
    expect(inspect(made.path).status).toBe('dead');
  });
});

describe('a PAD in a linear channel, which has no laps to fill', () => {
  test('is damage to who reads it; what follows is found behind all of them', async () => {
    const made = await make('linear', 'closed', 340);
    const bytes = readFileSync(made.path);
    for (const n of [150, 151]) bytes[at(made, n) + L.FRAME_KIND_OFFSET] = L.KIND_PAD;
    writeFileSync(made.path, bytes);
    using reader = await Reader.open(made.path);
    const { records, damage } = readPastDamage(reader);
    expect(records).toEqual(numbers(0, 340).toSpliced(150, 2));
    const [position, , next] = made.positions.slice(150);
    expect(damage).toMatchObject([{ code: 'ERR_CORRUPT', position, next, record: 152 }]);
  });

  test('is damage to who would go on behind it, too, and to who looks', async () => {
    const made = await make('linear', 'dead', 340);
    const bytes = readFileSync(made.path);
    const position = made.positions[339];
    bytes[at(made, 339) + L.FRAME_KIND_OFFSET] = L.KIND_PAD;
    writeFileSync(made.path, bytes);
    const damage = { code: 'ERR_CORRUPT', path: made.path, position };
    expect(await failure(() => Writer.resume(made.path))).toMatchObject(damage);
    expect(readFileSync(made.path).equals(bytes)).toBe(true);
    expect((await verify(made.path)).faults).toMatchObject([{ code: 'ERR_CORRUPT', position }]);
    using reader = await Reader.open(made.path, { from: position });
    expect(thrown(() => reader.read())).toMatchObject(damage);
  });
});

test.each([
  ['zeroed', (bytes: Buffer, from: number, to: number) => bytes.fill(0, from, to)],
  ['of random bits', (bytes: Buffer, from: number, to: number) => bytes.fill('damage', from, to)],
  ['each with one bit flipped', flipEach],
])('marks that are %s cost time, not truth', async (_, spoil) => {
  for (const ending of ['closed', 'dead'] as const) {
    const made = await make('linear', ending, 340);
    const bytes = readFileSync(made.path);
    const marks = bytes.readInt32LE(L.MARKS_OFFSET_OFFSET);
    spoil(bytes, marks, marks + bytes.readInt32LE(L.MARK_COUNT_OFFSET) * L.MARK_BYTES);
    writeFileSync(made.path, bytes);
    if (ending === 'dead') (await Writer.resume(made.path)).close();
    using reader = await Reader.open(made.path);
    for (const n of [0, 1, 170, 338, 339]) {
      for (const where of [made.positions[n], { record: n }, { time: { us: 1_000_000 + n } }]) {
        reader.seek(where);
        expect(reader.read()).toMatchObject({ record: n, position: made.positions[n] });
      }
    }
    expect([...reader.backwards()].map(({ record }) => record)).toEqual(
      Array.from({ length: 340 }, (_, i) => 339 - i),
    );
  }
});

function flipEach(bytes: Buffer, from: number, to: number) {
  for (let mark = from; mark < to; mark += L.MARK_BYTES) bytes[mark + 4 + ((mark / 32) % 28)] ^= 4;
}

test('a closed channel whose last records are gone says so, and does not end early in silence', async () => {
  const made = await make('linear', 'closed', 200);
  const bytes = readFileSync(made.path);
  bytes.fill(0, made.dataOffset + made.positions[150]);
  writeFileSync(made.path, bytes);
  using reader = await Reader.open(made.path);
  expect(reader.readBatch(150).length).toBe(150);
  const error = thrown(() => reader.read());
  expect(error).toMatchObject({ code: 'ERR_CORRUPT', position: made.positions[150] });
  using patient = await Reader.open(made.path);
  await expect(async () => {
    for await (const _ of patient);
  }).rejects.toMatchObject({ code: 'ERR_CORRUPT' });
});

test('one whose tail says less than its final position, and whose records stop before, is truncated', async () => {
  const made = await make('linear', 'closed', 200);
  const bytes = readFileSync(made.path);
  bytes.fill(0, made.dataOffset + made.positions[150]);
  bytes.writeInt32LE(made.positions[150] / 16, L.TAIL_OFFSET + 4);
  writeFileSync(made.path, bytes);
  using reader = await Reader.open(made.path);
  expect(reader.readBatch(1000).length).toBe(150);
  expect(thrown(() => reader.ended)).toMatchObject({ code: 'ERR_TRUNCATED', position: made.positions[150] });
  await expect(async () => {
    for await (const _ of reader);
  }).rejects.toMatchObject({ code: 'ERR_TRUNCATED' });
});

test('a tail and a limit that lie together beyond the end of a linear channel are damage', async () => {
  const path = newPath();
  const { writer, crash } = await mortal(() =>
    Writer.create(path, { mode: 'linear', capacity: '16KiB', checksum: 'crc32c' }),
  );
  writer.write('one');
  crash();
  const file = openSync(path, 'r+');
  // Of both words the high part, which is there twice.
  for (const word of [L.LIMIT_OFFSET, L.LIMIT_OFFSET + 8, L.TAIL_OFFSET, L.TAIL_OFFSET + 8]) {
    writeSync(file, Buffer.from([1, 0, 0, 0]), 0, 4, word);
  }
  closeSync(file);
  expect(inspect(path).tail).toBeGreaterThan(2 ** 32);
  expect(await failure(() => Writer.resume(path))).toMatchObject({ code: 'ERR_CORRUPT', path });
});
