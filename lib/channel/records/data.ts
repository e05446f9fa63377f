import { isUint8Array as isByteArray } from 'node:util/types';
import { invalidArgument, type MillraceError } from '../../errors.js';
import { show } from '../../options.js';
import type { When } from '../runtime/index.js';

/** Also those of another context of `node:vm`; but nothing that only has the prototype of one, or stands for one. */
export { isByteArray };

/** What a record may be given as: bytes, a string (UTF-8), or an array of these that are joined. */
export type Data = Uint8Array | string | readonly (Uint8Array | string)[];

export interface RecordOptions {
  /** A number of the user's, 0 to 65535. */
  type?: number | undefined;
  /** A number of the user's, up to 2^53 - 1; only where the channel has timestamps. */
  tag?: number | undefined;
  /** Only where the channel has timestamps; default: now. */
  timestamp?: When | undefined;
}

export interface BatchRecord<In = Data> extends RecordOptions {
  data: In;
}

/** As the engine has it. `length` may be a subclass's, or the array's own, and then say and do anything. */
export const trueLength = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  'length',
)?.get as (this: Uint8Array) => number;
const NOTHING = new Uint8Array(0);

/**
 * How many bytes it is. Refuses what says another length than it has, for all that it has is copied, and what has no
 * memory any more. `length` is asked, too, since the engine then knows what it has before it, and makes one look of both.
 */
export function lengthOf(data: Uint8Array, path?: string): number {
  const { length } = data;
  const bytes = trueLength.call(data);
  if (bytes !== length) {
    throw invalidArgument(`A Uint8Array of ${bytes} bytes says that its length is ${show(length)}`, { path });
  }
  if (length === 0) refuseGone(data, path);
  return length;
}

/** Transferred to another thread, or resized to less than where it begins. */
function refuseGone(data: Uint8Array, path: string | undefined): void {
  try {
    NOTHING.set(data);
  } catch (cause) {
    throw invalidArgument('The memory of a Uint8Array is gone: it was transferred, or became shorter', {
      path,
      cause,
    });
  }
}

/** Length in bytes of what `data` will be in the stream. `path`: of the channel that it is to go into. */
export function measure(data: Data, path: string): number {
  if (typeof data === 'string') return Buffer.byteLength(data);
  if (!Array.isArray(data)) {
    if (isByteArray(data)) return lengthOf(data, path);
    throw invalidArgument(`A record must be a Uint8Array, a string or an array of these, not ${show(data)}`, {
      path,
    });
  }
  let length = 0;
  for (const part of data as readonly (Uint8Array | string)[]) {
    if (typeof part === 'string') length += Buffer.byteLength(part);
    else if (isByteArray(part)) length += lengthOf(part, path);
    else {
      throw invalidArgument(`A part of a record must be a Uint8Array or a string, not ${show(part)}`, {
        path,
      });
    }
  }
  return length;
}

/**
 * Data that says the same however often it is asked: the elements of an array may be computed, and another time others.
 * What it then consists of is bytes and strings that have been looked at once.
 */
export function taken(data: Data): Data {
  return Array.isArray(data) ? [...data] : data;
}

/** Copies what was measured as `length` bytes. Refuses what has another length by now, as a buffer may that was resized. */
export function copyData(target: Buffer, at: number, data: Data, length: number, path: string): void {
  // Nobody changes a string.
  if (typeof data === 'string') {
    target.write(data, at);
    return;
  }
  const copied = Array.isArray(data)
    ? copyParts(target, at, data, length)
    : copyPart(target, at, data as Uint8Array, length);
  if (copied !== length) throw changedMeanwhile('record', path);
}

export function changedMeanwhile(what: 'record' | 'batch', path: string): MillraceError {
  return invalidArgument(`A ${what} for ${path} became longer or shorter while it was written`, { path });
}

function copyParts(
  target: Buffer,
  at: number,
  parts: readonly (Uint8Array | string)[],
  length: number,
): number {
  let copied = 0;
  for (const part of parts) {
    copied += copyPart(target, at + copied, part, length - copied);
    if (copied > length) break;
  }
  return copied;
}

/** How long it is now, whether or not it was copied: nothing is where that is longer than what is left for it. */
function copyPart(target: Buffer, at: number, part: Uint8Array | string, left: number): number {
  if (typeof part === 'string') return target.write(part, at, left);
  const length = trueLength.call(part);
  // Of one that was transferred meanwhile nothing is left, and the engine refuses to copy that.
  if (length > 0 && length <= left) target.set(part, at);
  return length;
}

/**
 * A record of a batch that is more than plain bytes, as the appender takes it. A class, so that it knows those made here
 * from what an array gives out that is computed.
 */
export class DescribedRecord<D extends Data = Data, Us extends number | undefined = number | undefined> {
  readonly data: D;
  /** Of the data, in bytes. */
  readonly length: number;
  readonly type: number;
  readonly tag: number;
  readonly timeUs: Us;

  constructor(data: D, length: number, type: number, tag: number, timeUs: Us) {
    this.data = data;
    this.length = length;
    this.type = type;
    this.tag = tag;
    this.timeUs = timeUs;
  }
}

export function isData(record: unknown): record is Data {
  return typeof record === 'string' || Array.isArray(record) || isByteArray(record);
}

/** Such that nothing is left to look at in any of them. */
export function areBytes(records: readonly unknown[]): records is readonly Uint8Array[] {
  for (let i = 0; i < records.length; i++) {
    if (!isByteArray(records[i])) return false;
  }
  return true;
}
