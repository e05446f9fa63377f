import zlib from 'node:zlib';
import fc from 'fast-check';
import type { Algorithm } from '../../lib/channel/records/compression.js';
import { type EncodedRecord, unpack } from '../../lib/log/records/packing.js';
import type { LogRecord } from '../../lib/log/records/record.js';
import { writeVarint } from '../../lib/log/records/varint.js';
import { anyInput, encode, type Input } from './records.js';

/** A failure prints the seed and the smallest batch that leads to it; PACKING_SEED and PACKING_RUNS give others, and more. */
const SEED = Number(process.env.PACKING_SEED ?? 16_180);
export const RUNS = Number(process.env.PACKING_RUNS ?? 300);
export const fixed = { seed: SEED, numRuns: RUNS };

export const MIB = 2 ** 20;
export const TIME = 1_700_000_000_000_000;
export const LATEST = Number.MAX_SAFE_INTEGER;
export const hasZstd = 'zstdCompressSync' in zlib;
export const ALGORITHMS: Algorithm[] = hasZstd ? ['deflate', 'zstd'] : ['deflate'];

export function record(input: Input, tag: number, timeUs = TIME): EncodedRecord {
  const { payload, type } = encode(input);
  return { data: payload, length: payload.length, type, tag, timeUs };
}

/** So many records alike, which are well worth packing. */
export function alike(count: number, bytes = 100): EncodedRecord[] {
  return Array.from({ length: count }, (_, i) =>
    record(`${'a'.repeat(bytes - 6)}${String(i).padStart(6)}`, i),
  );
}

/** Bytes that nothing makes shorter. */
export function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export function unpacked(packed: EncodedRecord): LogRecord[] {
  const memory = Buffer.concat([Buffer.alloc(3, 0xff), packed.data, Buffer.alloc(5, 0xff)]);
  return unpack(memory, 3, 3 + packed.length, packed.tag, packed.timeUs);
}

export interface Plan {
  input: Input;
  gap: number;
  timeUs: number;
}

export const anyTime = fc.oneof(
  fc.constant(TIME),
  fc.integer({ min: TIME - 1000, max: TIME + 1000 }),
  fc.nat(LATEST),
);
export const anyGap = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(2 ** 40));
export const anyPlan: fc.Arbitrary<Plan[]> = fc.array(
  fc.record({ input: anyInput, gap: anyGap, timeUs: anyTime }),
  {
    minLength: 1,
    maxLength: 30,
  },
);

/** Something that packs well is among them, so that most batches are worth it. */
export function batchOf(plans: readonly Plan[], first: number): { plans: Plan[]; batch: EncodedRecord[] } {
  const all = [...plans, { input: Buffer.alloc(1000), gap: 0, timeUs: TIME }];
  let tag = first - 1;
  const batch = all.map(({ input, gap, timeUs }) => {
    tag += 1 + gap;
    return record(input, tag, timeUs);
  });
  return { plans: all, batch };
}

/** Where nothing is compressed, all bytes are known: one stored block of RFC 1951. */
export function stored(inner: Buffer): Buffer {
  const block = Buffer.from([1, 0, 0, 0, 0]);
  block.writeUInt16LE(inner.length, 1);
  block.writeUInt16LE(inner.length ^ 0xffff, 3);
  return Buffer.concat([block, inner]);
}

export function headed(algorithm: number, numbers: readonly number[], packed: Buffer): Buffer {
  const head = Buffer.alloc(60);
  head[0] = algorithm;
  let at = 1;
  for (const number of numbers) at = writeVarint(head, at, number);
  return Buffer.concat([head.subarray(0, at), packed]);
}
