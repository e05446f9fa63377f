import { readFileSync } from 'node:fs';
import { createWriter } from '../../lib/channel/ends/writer.js';
import { disk } from '../../lib/channel/runtime/disk.js';
import { environment } from '../../lib/channel/runtime/environment.js';
import { declareAbandoned, Reader, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { payloadOf } from '../helpers/payload.js';

/** What the golden files say of the world they were made in. */
export const FACTS = {
  /** The first thing a channel asks the clock is when it was made; each question after that is 250 µs later. */
  nowUs: 1_750_000_000_123_456,
  tickUs: 250,
  /** Past 2^32: the heartbeat has the low 32 bits only. */
  bootMs: 5_000_000_123,
  pid: 4242,
  startTicks: 9_876_543_210,
  bootId: '00112233445566778899aabbccddeeff',
  channelId: 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf',
  incarnation: 0xa3a2a1a0,
};

/** Runs `work` in a world where nothing depends on when and where it runs. */
export async function inFixedWorld<T>(work: () => Promise<T>): Promise<T> {
  const real = { ...environment };
  let asked = 0;
  Object.assign(environment, {
    nowUs: () => FACTS.nowUs + FACTS.tickUs * asked++,
    bootMs: () => FACTS.bootMs,
    random: (bytes: number) => Buffer.from(FACTS.channelId, 'hex').subarray(0, bytes),
    pid: FACTS.pid,
    startTicks: () => FACTS.startTicks,
    bootId: () => Buffer.from(FACTS.bootId, 'hex'),
  });
  try {
    return await work();
  } finally {
    Object.assign(environment, real);
  }
}

export interface Written {
  data: Buffer;
  type: number;
  position: number;
  record: number;
  timestamp?: number;
  tag?: number;
}

export interface Made {
  /** Every record that was ever written. */
  records: Written[];
  /** Where the stream ends: the position behind the last record, or that of END or LINK. */
  end: number;
  /** The file as it was with everybody still there who was to be seen in it. */
  bytes: Buffer;
}

export interface Recipe {
  name: string;
  status: 'closed' | 'sealed' | 'abandoned';
  make(path: string): Promise<Made>;
}

// No timer beats while a file is made.
const QUIET = { heartbeatMs: 60_000, stalledAfterMs: 5000, readers: 4 };

export const METADATA = { schema: 'orders', version: 3, name: 'Grüße' };

/** A position past 2^36 takes more than 32 bits of units: these streams go over that line, and records over 2^32. */
export const BASE = { position: 2 ** 36 - 2 * 65536, record: 2 ** 32 - 100 };

export const RECIPES: Recipe[] = [
  { name: 'ring-wrapped', status: 'closed', make: ringWrapped },
  { name: 'ring-timestamps', status: 'sealed', make: ringTimestamps },
  { name: 'linear-closed', status: 'closed', make: linearClosed },
  { name: 'linear-sealed', status: 'sealed', make: linearSealed },
  { name: 'linear-abandoned', status: 'abandoned', make: linearAbandoned },
  { name: 'linear-synced', status: 'closed', make: linearSynced },
];

/** Four laps with readers: one that holds the writer back, one that is overtaken, one that left. */
async function ringWrapped(path: string): Promise<Made> {
  const writer = await Writer.create(path, { ...QUIET, mode: 'ring', capacity: '64KiB', metadata: METADATA });
  const gating = await Reader.open(path, { gate: true, name: 'billing', from: 'oldest', idle: 'spin' });
  const watching = await Reader.open(path, {
    gate: false,
    onLost: 'skip',
    name: 'wätch',
    from: 'oldest',
    idle: 'spin',
  });
  const gone = await Reader.open(path, { gate: { evictAfterMs: 60_000 }, name: 'gone', idle: 'spin' });
  gone.close();
  const records: Written[] = [];
  let refusals = 0;
  while (writer.position < 4 * 65536 + 20_000) {
    const record = records.length;
    const data = Buffer.from(payloadOf(record, (record * 1237) % 3000));
    const type = (record * 401) & 0xffff;
    const taken = writer.tryWrite(data, type);
    if (taken > 0) {
      records.push({ data, type, position: writer.position - taken, record });
      continue;
    }
    refusals++;
    gating.poll(() => {}, 25);
    if (refusals === 5) watching.poll(() => {});
  }
  const end = writer.position;
  writer.close();
  const bytes = readFileSync(path);
  gating.close();
  watching.close();
  return { records, end, bytes };
}

/** Timestamps that also go back, tags up to the largest, a stream that began elsewhere and passes 2^36. */
async function ringTimestamps(path: string): Promise<Made> {
  const writer = await createWriter(
    path,
    { ...QUIET, mode: 'ring', capacity: '64KiB', timestamps: true, maxRecord: 4000 },
    BASE,
  );
  const records: Written[] = [];
  let asked = 1;
  while (writer.position < BASE.position + 3 * 65536 + 10_000) {
    const i = records.length;
    const data = Buffer.from(payloadOf(i, (i * 613) % 1900));
    const own = i % 3 === 0;
    const timestamp = own ? FACTS.nowUs + 50_000 - i * 70 : FACTS.nowUs + FACTS.tickUs * asked++;
    const tag = i % 5 === 0 ? 2 ** 53 - 1 - i : i;
    const type = i % 7;
    const position = writer.write(data, { type, tag, ...(own && { timestamp: { us: timestamp } }) });
    records.push({ data, type, position, record: BASE.record + i, timestamp, tag });
  }
  const end = writer.position;
  writer.seal();
  return { records, end, bytes: readFileSync(path) };
}

/** Filled to the last byte that may be used; with an empty record, a batch, a claim and one that was taken back. */
async function linearClosed(path: string): Promise<Made> {
  const writer = await Writer.create(path, {
    ...QUIET,
    mode: 'linear',
    capacity: '16KiB',
    maxRecord: 1000,
    readers: 0,
    metadata: METADATA,
  });
  const records: Written[] = [];
  const note = (data: Buffer, type: number, position: number) =>
    records.push({ data, type, position, record: records.length });
  note(Buffer.alloc(0), 0, writer.write(Buffer.alloc(0)));
  note(Buffer.from('√2 ≈ 1.414'), 65535, writer.write('√2 ≈ 1.414', 65535));
  const batch = [Buffer.from('a'), Buffer.from('bc'), Buffer.from('d'.repeat(17))];
  let at = writer.writeBatch(batch.map((data, type) => ({ data, type })));
  for (const [type, data] of batch.entries()) {
    note(data, type, at);
    at += (16 + data.length + 15) & -16;
  }
  writer.claim(200)?.abort();
  const claim = writer.claim(100, 77);
  if (claim === undefined) throw new Error('There is no room for a claim');
  claim.bytes.fill('c', claim.start, claim.end);
  const claimedAt = writer.position;
  claim.commit(60);
  note(Buffer.alloc(60, 'c'), 77, claimedAt);
  for (let i = 0; ; i++) {
    const data = Buffer.from(payloadOf(i, (i * 379) % 900));
    const taken = writer.tryWrite(data, i);
    if (taken < 0) break;
    note(data, i, writer.position - taken);
  }
  while (writer.tryWrite(Buffer.alloc(0)) > 0) note(Buffer.alloc(0), 0, writer.position - 16);
  const end = writer.position;
  writer.close();
  return { records, end, bytes: readFileSync(path) };
}

async function linearSealed(path: string): Promise<Made> {
  const writer = await Writer.create(path, { ...QUIET, mode: 'linear', capacity: '16KiB' });
  const records: Written[] = [];
  for (let record = 0; record < 30; record++) {
    const data = Buffer.from(payloadOf(record, (record * 97) % 400));
    records.push({ data, type: record, position: writer.write(data, record), record });
  }
  const end = writer.position;
  writer.seal();
  return { records, end, bytes: readFileSync(path) };
}

/** Two writers died, the second with a claim half filled; then it was given up. */
async function linearAbandoned(path: string): Promise<Made> {
  const records: Written[] = [];
  const write = (writer: Writer, count: number) => {
    for (let i = 0; i < count; i++) {
      const record = records.length;
      const data = Buffer.from(payloadOf(record, (record * 53) % 300));
      records.push({ data, type: 1, position: writer.write(data, 1), record });
    }
  };
  const options = { ...QUIET, mode: 'linear', capacity: '16KiB' } as const;
  const first = await mortal(() => Writer.create(path, options));
  write(first.writer, 20);
  first.crash();
  const second = await mortal(() => Writer.resume(path));
  write(second.writer, 15);
  const end = second.writer.position;
  const claim = second.writer.claim(500);
  claim?.bytes.fill('?', claim.start, claim.end - 100);
  second.crash();
  declareAbandoned(path);
  return { records, end, bytes: readFileSync(path) };
}

/** Synced twice, with records written while the first sync ran: so a CHECKPOINT stands behind them. */
async function linearSynced(path: string): Promise<Made> {
  const writer = await Writer.create(path, {
    ...QUIET,
    mode: 'linear',
    capacity: '16KiB',
    sync: { everyMs: 3_600_000, everyBytes: '64KiB' },
  });
  const records: Written[] = [];
  const write = (count: number) => {
    for (let i = 0; i < count; i++) {
      const record = records.length;
      const data = Buffer.from(payloadOf(record, (record * 71) % 400));
      records.push({ data, type: 2, position: writer.write(data, 2), record });
    }
  };
  const { flushFrames } = disk;
  write(25);
  try {
    disk.flushFrames = (...given) => {
      const flushed = flushFrames(...given);
      write(5);
      return flushed;
    };
    await writer.flush();
  } finally {
    disk.flushFrames = flushFrames;
  }
  write(10);
  await writer.flush();
  write(1);
  const end = writer.position;
  writer.close();
  return { records, end, bytes: readFileSync(path) };
}
