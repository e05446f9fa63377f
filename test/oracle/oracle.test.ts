import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { inspect, Reader, type ReaderRecord, Writer } from '../../lib/index.js';
import { BASE, FACTS, METADATA } from '../golden/recipes.js';
import { newPath } from '../helpers/run-directory.js';
import { isNode20, mapFile } from './mapping.js';
import { crc32c, type Frame, KIND, Opinion, SLOT, STATE } from './opinion.js';

const RING = 65536;
const LINEAR = 16384;

/** What each golden file must say, written out by hand. */
const GOLDEN = [
  {
    name: 'ring-wrapped',
    fixed: { mode: 2, frameHeader: 16, capacity: RING, readerSlots: 4, largestPayload: 8192 },
    state: STATE.CLOSED,
    metadata: METADATA,
    wakeSequence: 1,
    resumes: 0,
  },
  {
    name: 'ring-timestamps',
    fixed: {
      mode: 2,
      frameHeader: 32,
      capacity: RING,
      readerSlots: 4,
      largestPayload: 4000,
      basePosition: BASE.position,
      baseRecord: BASE.record,
    },
    state: STATE.SEALED,
    metadata: {},
    wakeSequence: 1,
    resumes: 0,
  },
  {
    name: 'linear-closed',
    fixed: { mode: 1, frameHeader: 16, capacity: LINEAR, readerSlots: 0, largestPayload: 1000 },
    state: STATE.CLOSED,
    metadata: METADATA,
    wakeSequence: 1,
    resumes: 0,
  },
  {
    name: 'linear-sealed',
    fixed: { mode: 1, frameHeader: 16, capacity: LINEAR, readerSlots: 4, largestPayload: 4096 },
    state: STATE.SEALED,
    metadata: {},
    wakeSequence: 1,
    resumes: 0,
  },
  {
    name: 'linear-abandoned',
    fixed: { mode: 1, frameHeader: 16, capacity: LINEAR, readerSlots: 4, largestPayload: 4096 },
    state: STATE.ABANDONED,
    metadata: {},
    // The resume, then the recovery before the end, then the end.
    wakeSequence: 3,
    resumes: 1,
  },
  {
    name: 'linear-synced',
    fixed: {
      mode: 1,
      frameHeader: 16,
      capacity: LINEAR,
      readerSlots: 4,
      largestPayload: 4096,
      checksumKind: 1,
      syncKind: 1,
      syncMs: 3_600_000,
      syncBytes: 65536,
    },
    state: STATE.CLOSED,
    metadata: {},
    wakeSequence: 1,
    resumes: 0,
    durable: true,
  },
];

/** A record as both sides tell it. */
interface Told {
  position: number;
  record: number;
  type: number;
  timestamp: number | undefined;
  tag: number | undefined;
  data: string;
}

const byOracle = (frames: Frame[]): Told[] =>
  frames
    .filter((frame) => frame.kind === KIND.DATA)
    .map(({ position, record, type, timestamp, tag, payload }) => ({
      position,
      record,
      type,
      timestamp,
      tag,
      data: payload.toString('hex'),
    }));

const byReader = (records: ReaderRecord[]): Told[] =>
  records.map(({ position, record, type, timestamp, tag, data }) => ({
    position,
    record,
    type,
    timestamp,
    tag,
    data: data.toString('hex'),
  }));

async function readAll(path: string): Promise<Told[]> {
  using reader = await Reader.open(path, { from: 'oldest', gate: false, register: false });
  return byReader(reader.readBatch(100_000));
}

/** Sizes and offsets are what capacity and slots make them, the checksum holds, and what means nothing is 0. */
function checkLayout(opinion: Opinion): void {
  const fixed = opinion.fixed();
  const { fileBytes, ...map } = opinion.map();
  expect(fixed).toMatchObject({
    ...map,
    magic: 'MILLRACE',
    major: 1,
    minor: 0,
    endianTag: 0x01020304,
    incompatible: 0,
    compatible: 0,
  });
  expect(opinion.bytes.length).toBe(fileBytes);
  expect(fixed.checksum).toBe(opinion.headerChecksum());
  expect(opinion.strayByte()).toBeUndefined();
  expect(opinion.words()).toMatchObject({
    reason: 0,
    waiters: 0,
    roomWanted: 0,
    roomSequence: 0,
    wakes: 0,
  });
}

/** Every usable mark names the first frame of its stride, or the next one of that lap; with its number and times. */
function checkMarks(opinion: Opinion, frames: Frame[]): number {
  const { basePosition, capacity, marks, markStride, frameHeader } = opinion.fixed();
  const lapOf = (position: number) => Math.floor((position - basePosition) / capacity);
  const usable = opinion.marks().toSorted((a, b) => a.position - b.position || a.slot - b.slot);
  for (const mark of usable) {
    const strideStart = basePosition + lapOf(mark.position) * capacity + mark.slot * markStride;
    const first = frames.find((frame) => frame.position >= strideStart);
    expect(first, `mark ${mark.slot}`).toMatchObject({ position: mark.position, record: mark.record });
    if (frameHeader === 16) expect(mark.time).toBe(0);
  }
  for (let i = 1; i < usable.length && frameHeader === 32; i++) {
    const [before, mark] = [usable[i - 1], usable[i]];
    const between = frames.filter((f) => f.position >= before.position && f.position < mark.position);
    const times = between.filter((frame) => frame.kind === KIND.DATA).map((frame) => frame.timestamp ?? 0);
    expect(mark.time).toBe(Math.max(before.time, ...times));
  }
  expect(usable.length).toBeLessThanOrEqual(marks);
  return usable.length;
}

/** Each stride in which a frame below the tail starts has its mark. */
function checkMarksComplete(opinion: Opinion, frames: Frame[]): void {
  const { tail } = opinion.words();
  const marked = new Set(opinion.marks().map((mark) => opinion.strideOf(mark.position)));
  const strides = frames.filter((frame) => frame.position < tail).map((f) => opinion.strideOf(f.position));
  for (const stride of new Set(strides)) expect(marked, `stride ${stride}`).toContain(stride);
}

test('the checksum is CRC32C', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345')))).toBe(0xe3069283);
});

describe.skipIf(!isNode20)('mapped by mmap-io, which is for Node 20', () => {
  describe.each(GOLDEN)('golden file $name', (golden) => {
    const { name, fixed, state, metadata, wakeSequence, resumes } = golden;
    const path = fileURLToPath(new URL(`../golden/${name}.bin`, import.meta.url));
    const open = () => new Opinion(mapFile(path));

    test('is laid out as documented', () => {
      const opinion = open();
      expect(opinion.bytes.equals(readFileSync(path))).toBe(true);
      checkLayout(opinion);
      expect(opinion.fixed()).toMatchObject({
        basePosition: 0,
        baseRecord: 0,
        checksumKind: 0,
        syncKind: 0,
        syncMs: 0,
        syncBytes: 0,
        ...fixed,
        channelId: FACTS.channelId,
        incarnation: FACTS.incarnation,
        created: FACTS.nowUs,
        heartbeatMs: 60_000,
        stalledAfterMs: 5000,
        creatorPid: FACTS.pid,
        creatorStart: FACTS.startTicks,
        bootId: FACTS.bootId,
      });
      expect(opinion.metadata()).toEqual(metadata);
    });

    test('has the words that its writer left', () => {
      const opinion = open();
      const words = opinion.words();
      const { capacity, basePosition } = opinion.fixed();
      const frames = opinion.walk();
      expect(words).toMatchObject({
        state,
        heartbeat: FACTS.bootMs % 2 ** 32,
        writerPid: FACTS.pid,
        writerStart: FACTS.startTicks,
        writerBootId: FACTS.bootId,
        wakeSequence,
        resumes,
        evictions: 0,
      });
      const last = frames[frames.length - 1];
      const data = frames.filter((frame) => frame.kind === KIND.DATA);
      expect(words.finalPosition).toBe(words.tail);
      expect(words.recordCount).toBe(data[data.length - 1].record + 1);
      if (fixed.mode === 1) expect(words.limit).toBe(basePosition + capacity);
      else expect(words.limit).toBeGreaterThanOrEqual(words.tail);
      expect(words.limit).toBeLessThanOrEqual(words.tail + capacity);
      if (state === STATE.ABANDONED) {
        expect(last.kind).toBe(KIND.DATA);
        expect(last.position + Math.ceil(last.length / 16) * 16).toBe(words.finalPosition);
      } else {
        expect(last).toMatchObject({ position: words.finalPosition, type: 0 });
        if (fixed.frameHeader === 32) expect(last).toMatchObject({ timestamp: 0, tag: 0 });
      }
      if (state === STATE.CLOSED) expect(last).toMatchObject({ kind: KIND.END, length: fixed.frameHeader });
      if (state === STATE.SEALED) {
        expect(last).toMatchObject({ kind: KIND.LINK, length: fixed.frameHeader + 24 });
        expect(Number(last.payload.readBigUInt64LE(0))).toBe(words.finalPosition);
        expect(Number(last.payload.readBigUInt64LE(8))).toBe(words.recordCount);
        expect(last.payload.readUInt32LE(16)).toBe(0);
        expect(last.payload.readUInt32LE(20)).toBe(0);
      }
    });

    test('holds the frames that a Reader hands out, and marks that name them', async () => {
      const opinion = open();
      const frames = opinion.walk();
      expect(byOracle(frames)).toEqual(await readAll(path));
      expect(checkMarks(opinion, frames)).toBeGreaterThan(3);
      checkMarksComplete(opinion, frames);
      const checkpoints = frames.filter(({ kind }) => kind === KIND.CHECKPOINT);
      expect(checkpoints.length > 0).toBe(golden.durable === true);
      for (const { payload, position } of checkpoints) {
        expect(payload.length).toBe(8);
        expect(Number(payload.readBigUInt64LE())).toBeLessThan(position);
        expect(Number(payload.readBigUInt64LE())).toBeLessThanOrEqual(opinion.words().durablePosition);
      }
      for (const { kind, position, length } of frames) {
        if (kind !== KIND.PAD) continue;
        expect(fixed.mode).toBe(2);
        expect((position + length - opinion.fixed().basePosition) % RING).toBe(0);
      }
    });
  });

  test('golden file ring-wrapped has the readers that were there', () => {
    const path = fileURLToPath(new URL('../golden/ring-wrapped.bin', import.meta.url));
    const opinion = new Opinion(mapFile(path));
    const [billing, watching] = inspect(path).readers;
    const common = { pid: FACTS.pid, start: FACTS.startTicks };
    expect(opinion.slot(0)).toEqual({
      ...common,
      // Claimed, then gating.
      generation: 2,
      state: SLOT.GATING,
      position: billing.position,
      overtaken: 0,
      lostBytes: 0,
      evictAfterMs: 0,
      name: 'billing',
    });
    expect(opinion.slot(1)).toMatchObject({
      ...common,
      state: SLOT.OBSERVING,
      position: watching.position,
      overtaken: 1,
      lostBytes: watching.lostBytes,
      name: 'wätch',
    });
    // Claimed, gating, free again; the rest stays as it was.
    expect(opinion.slot(2)).toMatchObject({
      ...common,
      generation: 3,
      state: SLOT.FREE,
      evictAfterMs: 60_000,
      name: 'gone',
    });
    expect(opinion.slot(3)).toMatchObject({ generation: 0, state: SLOT.FREE, pid: 0, name: '' });
    expect(opinion.words()).toMatchObject({
      // Two that gate came, and one of them went.
      registrationSequence: 3,
      refusals: inspect(path).refusals,
    });
  });

  describe.each([
    { mode: 'ring', timestamps: false },
    { mode: 'ring', timestamps: true },
    { mode: 'linear', timestamps: false },
    { mode: 'linear', timestamps: true },
  ] as const)('a live $mode channel, timestamps: $timestamps', ({ mode, timestamps }) => {
    const capacity = mode === 'ring' ? RING : 2 * RING;
    const make = (path: string) =>
      Writer.create(path, { mode, timestamps, capacity, readers: 3, metadata: { of: 'oracle' } });

    test('begins as documented', async () => {
      const path = newPath();
      const before = Date.now() * 1000;
      using _writer = await make(path);
      const opinion = new Opinion(mapFile(path));
      checkLayout(opinion);
      const stat = readFileSync('/proc/self/stat', 'utf8');
      // Field 22, counted from the state, which is field 3 and comes behind the name.
      const start = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3]);
      const fixed = opinion.fixed();
      expect(fixed).toMatchObject({
        mode: mode === 'ring' ? 2 : 1,
        frameHeader: timestamps ? 32 : 16,
        capacity,
        readerSlots: 3,
        largestPayload: capacity / (mode === 'ring' ? 8 : 4),
        basePosition: 0,
        baseRecord: 0,
        creatorPid: process.pid,
        creatorStart: start,
        bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', ''),
      });
      expect(fixed.incarnation).not.toBe(0);
      expect(fixed.created).toBeGreaterThanOrEqual(before);
      expect(fixed.created).toBeLessThanOrEqual(Date.now() * 1000);
      expect(opinion.metadata()).toEqual({ of: 'oracle' });
      expect(opinion.words()).toMatchObject({
        state: STATE.OPEN,
        tail: 0,
        recordCount: 0,
        limit: mode === 'ring' ? 0 : capacity,
        writerPid: process.pid,
        writerStart: start,
        wakeSequence: 0,
        registrationSequence: 0,
        durablePosition: 0,
        resumes: 0,
      });
      expect(opinion.walk()).toEqual([]);
      expect(opinion.marks()).toEqual([]);
    });

    test('is at every moment what a Reader says it is', async () => {
      const path = newPath();
      const writer = await make(path);
      // One mapping for all that follows: what it shows is what is stored meanwhile.
      const opinion = new Opinion(mapFile(path));
      const { basePosition } = opinion.fixed();
      let full = false;
      for (let round = 0; round < 12; round++) {
        for (let i = 0; i < 40 && !full; i++) {
          const n = round * 40 + i;
          const data = Buffer.alloc((n * 7919) % 1500, n);
          // Clocks go back too: every other batch is of a time to come.
          const us = Date.now() * 1000 + (n % 8 === 0 ? 1e9 : 0);
          const given = timestamps ? { type: 5, tag: 2 ** 40 + n, timestamp: { us } } : { type: 5 };
          const batch = [data, { data: Buffer.alloc(n % 40), ...given }, data];
          if (n % 4 === 0) full = writer.tryWriteBatch(batch) < 0;
          else full = writer.tryWrite(data, n) < 0;
        }
        expect(opinion.words().tail).toBeLessThanOrEqual(writer.position);
        const frames = opinion.walk();
        const last = frames[frames.length - 1];
        expect(last.position + Math.ceil(last.length / 16) * 16).toBe(writer.position);
        expect(byOracle(frames)).toEqual(await readAll(path));
        checkMarks(opinion, frames);
        writer.heartbeat();
        const { tail, limit, recordCount, heartbeat } = opinion.words();
        expect(tail).toBe(writer.position);
        expect(recordCount).toBe(writer.stats().records);
        expect(limit - tail).toBeLessThanOrEqual(capacity);
        // What was committed and the 0 behind it lie below limit.
        expect(limit).toBeGreaterThan(tail);
        expect((Math.floor(Number(process.hrtime.bigint()) / 1e6) - heartbeat) >>> 0).toBeLessThan(5000);
        checkMarksComplete(opinion, frames);
      }
      if (mode === 'ring') expect(writer.position - basePosition).toBeGreaterThan(4 * capacity);
      const end = writer.position;
      writer.close();
      expect(opinion.words()).toMatchObject({
        state: STATE.CLOSED,
        tail: opinion.words().finalPosition,
        wakeSequence: 1,
      });
      const frames = opinion.walk();
      expect(frames[frames.length - 1].kind).toBe(KIND.END);
      expect(opinion.words().finalPosition).toBeGreaterThanOrEqual(end);
      checkLayout(opinion);
    });

    test('shows its readers in their slots', async () => {
      const path = newPath();
      using writer = await make(path);
      const opinion = new Opinion(mapFile(path));
      for (let i = 0; i < 20; i++) writer.write(Buffer.alloc(100, i));
      writer.heartbeat();
      const first = await Reader.open(path, {
        from: 'oldest',
        gate: { evictAfterMs: 4321 },
        name: 'a'.repeat(64),
      });
      using second = await Reader.open(path, { from: 'oldest', gate: false, name: 'zwei' });
      const gates = mode === 'ring';
      expect(opinion.slot(0)).toMatchObject({
        state: gates ? SLOT.GATING : SLOT.OBSERVING,
        position: 0,
        pid: process.pid,
        start: opinion.fixed().creatorStart,
        evictAfterMs: 4321,
        name: 'a'.repeat(64),
      });
      expect(opinion.slot(1)).toMatchObject({
        state: SLOT.OBSERVING,
        position: 0,
        evictAfterMs: 0,
        name: 'zwei',
      });
      expect(opinion.words().registrationSequence).toBe(gates ? 1 : 0);
      first.poll(() => {}, 7);
      second.poll(() => {});
      expect(opinion.slot(0).position).toBe(first.position);
      const { generation } = opinion.slot(0);
      first.close();
      expect(opinion.slot(0)).toMatchObject({ generation: generation + 1, state: SLOT.FREE });
      expect(opinion.words().registrationSequence).toBe(gates ? 2 : 1);
      checkLayout(opinion);
    });
  });

  test.each(['ring', 'linear'] as const)('a live %s channel with checksums', async (mode) => {
    const path = newPath();
    const writer = await Writer.create(path, { mode, capacity: 2 * RING, checksum: 'crc32c' });
    const opinion = new Opinion(mapFile(path));
    for (let n = 0; n < 300; n++) writer.write(Buffer.alloc((n * 397) % 800, n));
    if (mode === 'linear') {
      expect(await writer.flush()).toBe(writer.position);
      expect(opinion.words().durablePosition).toBe(writer.position);
    }
    writer.write('without one so far');
    writer.heartbeat();
    expect(byOracle(opinion.walk())).toEqual(await readAll(path));
    writer.close();
    // Throws where one is missing or wrong.
    expect(byOracle(opinion.walk())).toEqual(await readAll(path));
  });
});
