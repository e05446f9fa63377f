import {
  environment,
  type Limits,
  limitsFromNow,
  type ReaderRecord,
  RecordIterator,
  SegmentReader,
  turn,
  type WaitOptions,
} from '../channel/index.js';
import { invalidArgument, type MillraceError } from '../errors.js';
import { checkWait, knownOptions, oneOf, parseSize, type Size, wholeNumber } from '../options.js';
import type { Directory, SegmentFile } from './directory.js';
import type { NamedCursor } from './named-cursor.js';
import { unpack } from './packing.js';
import { type LogRecord, PACKED } from './record.js';
import { decodeRecord, fromPool } from './record-decoder.js';
import type { LogWhere, Tail } from './tail.js';

export interface ReadOptions extends WaitOptions {
  /** Where to begin. Default: 'latest' when following or going backwards, else 'earliest'; or where the cursor is. */
  from?: LogWhere;
  /** Whether to wait for more at the end (false). */
  follow?: boolean;
  /** How many records at most; how many bytes of values, but one record at least. */
  limit?: number;
  maxBytes?: Size;
  /** Last record first. */
  reverse?: boolean;
  /** The name of a cursor to begin at, and to move past each record when the next one is asked for. */
  cursor?: string;
  /** Only what is on the disk. */
  durableOnly?: boolean;
  /** What to do where records are gone that were to be read ('throw'). */
  outOfRange?: 'throw' | 'earliest' | 'latest';
}

export interface BatchesOptions extends ReadOptions {
  /** How many records a batch has at most (1024). */
  max?: number;
}

const READ_OPTIONS = [
  'from',
  'follow',
  'limit',
  'maxBytes',
  'reverse',
  'cursor',
  'durableOnly',
  'outOfRange',
  'signal',
  'timeoutMs',
] as const satisfies readonly (keyof ReadOptions)[];

const RECORDS_A_BATCH = 1024;
/** Read ahead of who iterates. */
const RECORDS_AHEAD = 64;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export function checkReadOptions(what: string, options: ReadOptions, more: readonly string[] = []): void {
  knownOptions(what, options, [...READ_OPTIONS, ...more]);
  oneOf('follow', options.follow ?? false, [true, false]);
  oneOf('reverse', options.reverse ?? false, [true, false]);
  oneOf('durableOnly', options.durableOnly ?? false, [true, false]);
  oneOf('outOfRange', options.outOfRange ?? 'throw', ['throw', 'earliest', 'latest']);
  checkWait(options);
  if (options.reverse !== true) return;
  for (const other of ['follow', 'cursor', 'durableOnly'] as const) {
    if (options[other] !== undefined && options[other] !== false) {
      throw invalidArgument(`Reading backwards goes without ${other}`, { option: other });
    }
  }
}

/** What a read takes at most, and when it is enough. */
class Allowance {
  #records: number;
  #bytes: number;

  constructor({ limit, maxBytes }: ReadOptions) {
    this.#records = limit === undefined ? NO_LIMIT : wholeNumber('limit', limit, 0, NO_LIMIT);
    this.#bytes = maxBytes === undefined ? NO_LIMIT : parseSize('maxBytes', maxBytes);
  }

  /** Records that may be read still. */
  get records(): number {
    return this.#records;
  }

  get isUsedUp(): boolean {
    return this.#records <= 0 || this.#bytes <= 0;
  }

  /** False where it is too much; the first one never is. */
  take({ value, key }: LogRecord, isFirst: boolean): boolean {
    const bytes = value.length + (key?.length ?? 0);
    if (this.isUsedUp || (bytes > this.#bytes && !isFirst)) {
      this.#records = 0;
      return false;
    }
    this.#records--;
    this.#bytes -= bytes;
    return true;
  }
}

/** Where records come from: a tail that is moved on, or the way back. */
export interface RecordSource {
  readonly closed: boolean;
  /** What is there now, up to `max`; nothing: wait. */
  read(max: number): LogRecord[];
  /** False: there will be nothing more. */
  wait(limits: Limits, isOver: () => boolean): Promise<boolean>;
  rouse(): void;
  close(): void;
}

/** Records from a tail, up to where the log ended when it began; or, following, without an end. */
export class Forwards implements RecordSource {
  readonly #tail: Tail;
  readonly #until: number;
  readonly #findEnd: () => number;

  /** `until`: NaN where damage hides the end. Nothing is at or behind it then, and `findEnd` throws that damage. */
  constructor(tail: Tail, until: number, findEnd: () => number) {
    this.#tail = tail;
    this.#until = until;
    this.#findEnd = findEnd;
  }

  get closed(): boolean {
    return this.#tail.closed;
  }

  read(max: number): LogRecord[] {
    if (this.#tail.offset >= this.#until) return [];
    const records = this.#tail.readBatch(max);
    const beyond = records.findIndex(({ offset }) => offset >= this.#until);
    return beyond < 0 ? records : records.slice(0, beyond);
  }

  async wait(limits: Limits, isOver: () => boolean): Promise<boolean> {
    if (this.#until !== Number.POSITIVE_INFINITY) {
      if (this.#tail.closed || this.#tail.offset >= this.#until) return false;
      if (this.#tail.hasNext()) return true;
      // What is there is read: not as if that were all.
      if (Number.isNaN(this.#until)) this.#findEnd();
      return false;
    }
    return this.#tail.wait(limits, isOver);
  }

  rouse(): void {
    this.#tail.rouse();
  }

  close(): void {
    this.#tail.close();
  }
}

/** Records from the last one before a place back to the earliest. */
export class Backwards implements RecordSource {
  readonly #records: Iterator<LogRecord>;
  #done = false;
  closed = false;

  constructor(records: Iterator<LogRecord>) {
    this.#records = records;
  }

  read(max: number): LogRecord[] {
    const read: LogRecord[] = [];
    while (read.length < max && !this.#done) {
      const next = this.#records.next();
      if (next.done === true) this.#done = true;
      else read.push(next.value);
    }
    return read;
  }

  async wait(): Promise<boolean> {
    return !this.#done;
  }

  rouse(): void {}

  close(): void {
    this.closed = true;
    this.#records.return?.();
  }
}

/**
 * Moves a named cursor behind what was read: now and then while records are there, and always before nothing is. Never
 * back: others may have moved it further.
 */
class CursorMover {
  readonly #cursor: NamedCursor;
  #given: number | undefined;
  #passed: number | undefined;
  #failure: unknown;
  #moved: Promise<unknown> | undefined;

  constructor(cursor: NamedCursor) {
    this.#cursor = cursor;
  }

  /** Behind all that was given before this one, whoever asks for more is. */
  giving({ offset }: LogRecord): void {
    this.#given = offset;
  }

  /** More is asked for. */
  pass(): void {
    if (this.#given !== undefined) this.#passed = this.#given + 1;
    this.#given = undefined;
  }

  move(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#passed === undefined) return;
    const offset = this.#passed;
    this.#passed = undefined;
    this.#moved = this.#cursor.advance(offset).catch((error) => {
      this.#failure ??= error;
    });
  }

  /** Resolves once it stands where it is to stand. */
  async moved(): Promise<void> {
    this.move();
    await this.#moved;
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** `for await` over the records of a log. */
export function iterate(
  source: RecordSource,
  options: ReadOptions,
  cursor: NamedCursor | undefined,
  assertOpen: () => void,
): AsyncIterableIterator<LogRecord, undefined, undefined> {
  const allowance = new Allowance(options);
  const limits = limitsFromNow(options);
  let ahead: LogRecord[] = [];
  let at = 0;
  let isFirst = true;
  const mover = cursor && new CursorMover(cursor);
  return new RecordIterator<LogRecord>({
    get closed() {
      return source.closed;
    },
    assertOpen,
    read() {
      mover?.pass();
      if (allowance.isUsedUp) return undefined;
      if (at >= ahead.length) {
        mover?.move();
        ahead = source.read(Math.min(RECORDS_AHEAD, allowance.records));
        at = 0;
      }
      const record = ahead[at];
      if (record === undefined || !allowance.take(record, isFirst)) return undefined;
      isFirst = false;
      at++;
      mover?.giving(record);
      return record;
    },
    async wait(isOver) {
      if (!allowance.isUsedUp && (await source.wait(limits, isOver))) return true;
      await mover?.moved();
      return false;
    },
    rouse: () => source.rouse(),
    async end() {
      source.close();
      await mover?.moved();
    },
  });
}

/** The same, batch by batch. */
export async function* iterateBatches(
  source: RecordSource,
  options: BatchesOptions,
  cursor: NamedCursor | undefined,
): AsyncGenerator<LogRecord[], void, undefined> {
  const max = options.max ?? RECORDS_A_BATCH;
  const allowance = new Allowance(options);
  const limits = limitsFromNow(options);
  const mover = cursor && new CursorMover(cursor);
  let isFirst = true;
  try {
    while (!allowance.isUsedUp && !source.closed) {
      const batch: LogRecord[] = [];
      for (const record of source.read(Math.min(max, allowance.records))) {
        if (!allowance.take(record, isFirst)) break;
        isFirst = false;
        batch.push(record);
      }
      if (batch.length > 0) {
        mover?.giving(batch.at(-1) as LogRecord);
        yield batch;
        mover?.pass();
        mover?.move();
        await turn();
      } else if (allowance.isUsedUp || !(await source.wait(limits, () => false))) return;
    }
  } finally {
    source.close();
    await mover?.moved();
  }
}

/** The records before an offset, last one first, back to the earliest. */
export function* backwards(directory: Directory, before: number): Generator<LogRecord, void, undefined> {
  const files = directory.segments().filter(({ base }) => base < before);
  for (const file of files.reverse()) {
    const segment = openUnlessRemoved(directory, file);
    if (segment === undefined) return;
    try {
      yield* recordsOf(straddling(segment, before), before);
      for (const frame of segment.backwards()) yield* recordsOf(frame, before);
    } finally {
      segment.close();
    }
  }
}

/** Undefined where it was removed meanwhile, with all before it. */
function openUnlessRemoved(directory: Directory, file: SegmentFile): SegmentReader | undefined {
  let segment: SegmentReader | undefined;
  try {
    segment = SegmentReader.openNow(file.path, { readOnly: true });
    directory.refuseStray(file, segment.metadata);
    return segment;
  } catch (error) {
    segment?.close();
    const isGone = (error as MillraceError).code === 'ERR_NOT_FOUND';
    if (isGone && directory.segments()[0]?.base > file.base) return undefined;
    throw error;
  }
}

/** The compressed batch with records on both sides of an offset, if there is one; stands before its frame then. */
function straddling(segment: SegmentReader, offset: number): ReaderRecord | undefined {
  let frame: ReaderRecord | undefined;
  segment.seekTag(offset);
  segment.poll((bytes, start, end, type) => {
    if (type !== PACKED) return;
    const { tag, timeUs: timestamp, position } = segment;
    const data = Buffer.from(bytes.subarray(start, end));
    frame = { data, value: data, type, position, record: 0, timestamp, tag };
  }, 1);
  segment.seekTag(offset);
  return frame;
}

/** Those of a frame's records before an offset that have not expired, last one first. */
function recordsOf(frame: ReaderRecord | undefined, before: number): LogRecord[] {
  if (frame === undefined) return [];
  const { data, type, tag, timestamp } = frame as Required<ReaderRecord>;
  const records =
    type === PACKED
      ? unpack(data, 0, data.length, tag, timestamp).reverse()
      : [decodeRecord(data, 0, data.length, type, tag, timestamp, fromPool)];
  const now = environment.nowUs();
  return records.filter(({ offset, expiresAt }) => offset < before && (expiresAt ?? now + 1) > now);
}
