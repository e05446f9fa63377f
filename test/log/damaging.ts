import { closeSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { inspect } from '../../lib/channel/index.js';
import * as L from '../../lib/channel/layout.js';
import { Log, type LogOptions, type LogRecord } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';

/** Where the frames of the segments of a `someLog` begin, and how long each of them is. */
export const DATA = 16_384;
export const FRAME = 128;

/** What stands in the record of an offset. */
export function textOf(offset: number): string {
  return `<${offset}>`.padEnd(96, '.');
}

export interface SomeLog {
  directory: string;
  /** The offsets that the segments begin with. */
  bases: number[];
  next: number;
}

/** A log of some segments, closed; all records are of the same length. */
export async function someLog(segments = 4, options: LogOptions = {}): Promise<SomeLog> {
  const directory = newDirectory();
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
  while (log.segments().length < segments) log.append(textOf(log.next));
  for (let i = 0; i < 10; i++) log.append(textOf(log.next));
  const { next } = log;
  const bases = log.segments().map(({ base }) => base);
  await log.close();
  return { directory, bases, next };
}

/** A log with so many records, whose writer has just begun a second segment. */
export async function justRolled(records = 1): Promise<SomeLog> {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none', rollAfterMs: 1 });
  for (let i = 0; i < records; i++) log.append(textOf(i));
  while (log.segments().length < 2) await setTimeout(1);
  return { directory, bases: [0, records], next: records };
}

export function fileOf(directory: string, base: number): string {
  return join(directory, `${String(base).padStart(20, '0')}.mr`);
}

/** Flips a bit of a file. */
export function flip(path: string, byte: number, bit = 0): void {
  const bytes = readFileSync(path);
  bytes[byte] ^= 1 << bit;
  writeFileSync(path, bytes);
}

/** Flips a bit of the value of a record. */
export function damage(path: string, base: number, offset: number): void {
  flip(path, DATA + (offset - base) * FRAME + 40);
}

export function shorten(path: string, bytes: number): void {
  truncateSync(path, bytes);
}

export function remove(path: string): void {
  rmSync(path);
}

export function overwrite(path: string, byte: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, byte);
  closeSync(file);
}

/** As if the machine had been started anew since these segments were written. */
export function reboot(directory: string, bases: readonly number[]): void {
  for (const base of bases) overwrite(fileOf(directory, base), L.WRITER_BOOT_OFFSET, Buffer.alloc(16, 1));
}

/** A segment that was sealed, as its writer left it a moment before. */
export function unseal(path: string): void {
  const { finalPosition = 0 } = inspect(path);
  overwrite(path, DATA + finalPosition, Buffer.alloc(L.RESERVED_BYTES));
  overwrite(path, L.STATE_OFFSET, Buffer.from([L.STATE_OPEN]));
}

/** The offsets of all records that can be read; each is as it was appended. */
export async function readable(directory: string): Promise<number[]> {
  await using log = await Log.open(directory, { readOnly: true });
  const offsets: number[] = [];
  for await (const record of log.read()) {
    assertItself(record);
    offsets.push(record.offset);
  }
  return offsets;
}

export function assertItself({ offset, value }: LogRecord): void {
  if (value.toString() !== textOf(offset)) throw new Error(`Record ${offset} is not itself: ${value}`);
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

export function without(offsets: number[], ...left: number[]): number[] {
  return offsets.filter((offset) => !left.includes(offset));
}
