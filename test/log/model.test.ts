import { cpSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Log, type LogOptions, type LogRecord, type LogRecordInput, type Tail } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';

/**
 * A log against a plain array: random commands, carried out on both, must have the same outcome. A failure prints the
 * seed and the shortest commands that lead to it. MODEL_SEED and MODEL_RUNS give it others, and more.
 */
const SEED = Number(process.env.MODEL_SEED ?? 27_182);
const RUNS = Number(process.env.MODEL_RUNS ?? 100);
const MOST_COMMANDS = 40;
const SEGMENT = 65_536;
const KEYS = 5;
const FIRST_TIME_MS = Date.UTC(2030, 0, 1);

/** One record as the model has it; undefined where compaction took it away. */
interface Known {
  key: string | undefined;
  length: number;
  timeUs: number;
  isTombstone: boolean;
}

interface Model {
  records: (Known | undefined)[];
  /** Retention removed what is below. */
  earliest: number;
  /** Below that everything is on the disk. */
  durable: number;
  tails: { at: number }[];
  cursors: Map<string, number>;
  timeMs: number;
}

interface Real {
  directory: string;
  log: Log;
  tails: Tail[];
}

type Command = fc.AsyncCommand<Model, Real>;

const OPTIONS: LogOptions = {
  segment: SEGMENT,
  sync: 'none',
  retention: { segments: 1000 },
  compaction: { tombstonesMs: 3_155_760_000_000 },
};

function expectRecord(model: Model, record: LogRecord): void {
  const known = model.records[record.offset];
  if (known === undefined) throw new Error(`Record ${record.offset} was not to be there`);
  const value = known.isTombstone ? Buffer.alloc(0) : payloadOf(record.offset, known.length);
  expect([record.offset, record.key?.toString(), record.tombstone ?? false]).toEqual([
    record.offset,
    known.key,
    known.isTombstone,
  ]);
  if (!record.value.equals(value)) throw new Error(`Record ${record.offset} has other bytes`);
  if (known.timeUs > 0) expect(record.timestamp).toBe(known.timeUs);
}

/** The offsets from one on that are there. */
function offsetsFrom(model: Model, from: number): number[] {
  const offsets: number[] = [];
  for (let offset = from; offset < model.records.length; offset++) {
    if (model.records[offset] !== undefined) offsets.push(offset);
  }
  return offsets;
}

function offsetAt(model: Model, share: number): number {
  return model.earliest + Math.floor(share * (model.records.length - model.earliest + 1));
}

function expectRecords(model: Model, records: readonly LogRecord[], offsets: readonly number[]): void {
  expect(records.map(({ offset }) => offset)).toEqual(offsets);
  for (const record of records) expectRecord(model, record);
}

function openTails(model: Model, real: Real): void {
  real.tails = model.tails.map(({ at }) => real.log.tail({ from: Math.max(at, model.earliest) }));
}

abstract class Always implements Command {
  check(): boolean {
    return true;
  }
  abstract run(model: Model, real: Real): Promise<void>;
  abstract toString(): string;
}

interface Made {
  form: 'bytes' | 'text' | 'described' | 'tombstone';
  length: number;
  key: number;
  /** How much later than the one before; below 0: earlier. */
  laterMs: number;
}

/** Every way to append, each of one or several records. */
class Append extends Always {
  readonly way: 'append' | 'appendBatch' | 'appendAsync' | 'commit';
  readonly made: Made[];

  constructor(way: Append['way'], made: Made[]) {
    super();
    this.way = way;
    this.made = made;
  }

  async run(model: Model, real: Real) {
    const first = model.records.length;
    const known: Known[] = [];
    const inputs = this.made.map((made, i) => this.#input(model, first + i, made, known));
    const { log } = real;
    if (this.way === 'append') {
      for (const [i, input] of inputs.entries()) expect(log.append(input)).toBe(first + i);
    } else if (this.way === 'appendBatch') {
      expect(log.appendBatch(inputs)).toBe(first);
    } else {
      expect(await log[this.way](inputs.length === 1 ? inputs[0] : inputs)).toBe(first);
    }
    model.records.push(...known);
    expect(log.next).toBe(model.records.length);
    if (this.way === 'commit') model.durable = model.records.length;
  }

  #input(model: Model, offset: number, made: Made, known: Known[]): LogRecordInput | Uint8Array {
    const { form, length, laterMs } = made;
    const value = payloadOf(offset, length);
    if (form === 'bytes') {
      known.push({ key: undefined, length, timeUs: 0, isTombstone: false });
      return value;
    }
    const key = `key ${made.key}`;
    model.timeMs += laterMs;
    const timestamp = new Date(model.timeMs);
    const isTombstone = form === 'tombstone';
    known.push({
      key: form === 'text' ? undefined : key,
      length,
      timeUs: model.timeMs * 1000,
      isTombstone,
    });
    if (form === 'text') return { value, timestamp };
    if (isTombstone) return { key, value: null, timestamp };
    return { key, value, timestamp, headers: [['n', String(offset)]], ttlMs: 3_155_760_000_000 };
  }

  toString() {
    return `${this.way}(${this.made.map(({ form, length }) => `${form} ${length}`)})`;
  }
}

class Flush extends Always {
  async run(model: Model, real: Real) {
    expect(await real.log.flush()).toBe(model.records.length);
    model.durable = model.records.length;
    expect(real.log.durable).toBe(model.durable);
  }
  toString() {
    return 'flush';
  }
}

class Reopen extends Always {
  async run(model: Model, real: Real) {
    await real.log.close();
    real.log = await Log.open(real.directory, OPTIONS);
    expect(real.log.recovery).toEqual({ after: 'close', dropped: 0, setAside: [] });
    openTails(model, real);
    expect(real.log.next).toBe(model.records.length);
  }
  toString() {
    return 'reopen';
  }
}

/** Files as they are at this moment are what is left of a process that is killed at it. */
class Crash extends Always {
  async run(model: Model, real: Real) {
    const directory = newDirectory();
    cpSync(real.directory, directory, { recursive: true });
    await real.log.close();
    real.directory = directory;
    real.log = await Log.open(directory, OPTIONS);
    expect(real.log.recovery).toMatchObject({ dropped: 0, setAside: [] });
    openTails(model, real);
    expect(real.log.next).toBe(model.records.length);
    expect(real.log.durable).toBeLessThanOrEqual(model.records.length);
    expect(real.log.durable).toBeGreaterThanOrEqual(model.durable);
  }
  toString() {
    return 'crash';
  }
}

class Read extends Always {
  readonly share: number;
  readonly limit: number | undefined;
  readonly reverse: boolean;

  constructor(share: number, limit: number | undefined, reverse: boolean) {
    super();
    this.share = share;
    this.limit = limit;
    this.reverse = reverse;
  }

  async run(model: Model, real: Real) {
    const { limit, reverse } = this;
    const from = offsetAt(model, this.share);
    let offsets = offsetsFrom(model, reverse ? 0 : from);
    // Backwards begins with that record.
    if (reverse) offsets = offsets.filter((offset) => offset <= from).reverse();
    expectRecords(model, await collect(real.log.read({ from, limit, reverse })), offsets.slice(0, limit));
  }

  toString() {
    return `read(${this.share}, ${this.limit}${this.reverse ? ', reverse' : ''})`;
  }
}

/** A limit in bytes is kept to, but for a first record that is larger. */
class ReadBytes extends Always {
  readonly share: number;
  readonly maxBytes: number;

  constructor(share: number, maxBytes: number) {
    super();
    this.share = share;
    this.maxBytes = maxBytes;
  }

  async run(model: Model, real: Real) {
    const from = offsetAt(model, this.share);
    const batches = await collect(real.log.batches({ from, maxBytes: this.maxBytes, max: 7 }));
    let left = this.maxBytes;
    const offsets = offsetsFrom(model, from);
    const end = offsets.findIndex((offset, i) => {
      const { key = '', length, isTombstone } = model.records[offset] as Known;
      const isOver = left <= 0;
      left -= key.length + (isTombstone ? 0 : length);
      return isOver || (left < 0 && i > 0);
    });
    expectRecords(model, batches.flat(), end < 0 ? offsets : offsets.slice(0, end));
    expect(batches.every(({ length }) => length > 0 && length <= 7)).toBe(true);
  }

  toString() {
    return `readBytes(${this.share}, ${this.maxBytes})`;
  }
}

/** A time leads to where a scan for it leads to. */
class SeekTime extends Always {
  readonly share: number;

  constructor(share: number) {
    super();
    this.share = share;
  }

  async run(model: Model, real: Real) {
    const timeUs = (FIRST_TIME_MS + Math.floor(this.share * (model.timeMs - FIRST_TIME_MS + 2))) * 1000;
    const all = await collect(real.log.read({ from: 'earliest' }));
    const expected = all.find(({ timestamp }) => timestamp >= timeUs)?.offset;
    const [found] = await collect(real.log.read({ from: { time: new Date(timeUs / 1000) }, limit: 1 }));
    expect(found?.offset).toBe(expected);
  }

  toString() {
    return `seekTime(${this.share})`;
  }
}

class OpenTail extends Always {
  readonly share: number;

  constructor(share: number) {
    super();
    this.share = share;
  }

  async run(model: Model, real: Real) {
    if (real.tails.length >= 3) {
      real.tails.shift()?.close();
      model.tails.shift();
    }
    const at = offsetAt(model, this.share);
    real.tails.push(real.log.tail({ from: at }));
    model.tails.push({ at });
  }

  toString() {
    return `openTail(${this.share})`;
  }
}

class PollTails extends Always {
  readonly max: number;

  constructor(max: number) {
    super();
    this.max = max;
  }

  async run(model: Model, real: Real) {
    for (const [i, tail] of real.tails.entries()) {
      const known = model.tails[i];
      const offsets = offsetsFrom(model, known.at).slice(0, this.max);
      expect(tail.hasNext()).toBe(offsets.length > 0);
      expectRecords(model, tail.readBatch(this.max), offsets);
      known.at = (offsets.at(-1) ?? known.at - 1) + 1;
    }
  }

  toString() {
    return `pollTails(${this.max})`;
  }
}

class UseCursor extends Always {
  readonly name: string;
  readonly limit: number;

  constructor(name: string, limit: number) {
    super();
    this.name = name;
    this.limit = limit;
  }

  async run(model: Model, real: Real) {
    const { name, limit } = this;
    const from = Math.max(model.cursors.get(name) ?? 0, model.earliest);
    const offsets = offsetsFrom(model, from).slice(0, limit);
    const records = await collect(real.log.read({ cursor: name, limit, outOfRange: 'earliest' }));
    expectRecords(model, records, offsets);
    const last = offsets.at(-1);
    if (last !== undefined) model.cursors.set(name, last + 1);
    expect(real.log.cursor(name).get()).toBe(model.cursors.get(name));
  }

  toString() {
    return `useCursor(${this.name}, ${this.limit})`;
  }
}

/** Only whole segments go, the first ones, and none that has what a cursor has still to read. */
class Retain extends Always {
  readonly segments: number;

  constructor(segments: number) {
    super();
    this.segments = segments;
  }

  async run(model: Model, real: Real) {
    await real.log.close();
    real.log = await Log.open(real.directory, { ...OPTIONS, retention: { segments: this.segments } });
    const before = real.log.segments().map(({ base }) => base);
    await real.log.lookAfter();
    // It is not to go on with that by itself.
    await real.log.close();
    real.log = await Log.open(real.directory, OPTIONS);
    const after = real.log.segments().map(({ base }) => base);
    const unread = Math.min(...model.cursors.values());
    const kept = before.filter((_, i) => {
      const end = before[i + 1] ?? Number.POSITIVE_INFINITY;
      return i >= before.length - this.segments || end > unread;
    });
    expect(after).toEqual(kept);
    model.earliest = after[0] ?? 0;
    expect(real.log.earliest).toBe(model.earliest);
    for (let offset = 0; offset < model.earliest; offset++) model.records[offset] = undefined;
    for (const tail of model.tails) tail.at = Math.max(tail.at, model.earliest);
    openTails(model, real);
    if (model.earliest === 0) return;
    const error = await failure(() => collect(real.log.read({ from: model.earliest - 1 })));
    expect(error).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', earliest: model.earliest });
  }

  toString() {
    return `retain(${this.segments})`;
  }
}

/** Of each key the last value stays, of what lies before the segment that the lowest cursor stands in. */
class Compact extends Always {
  async run(model: Model, real: Real) {
    const limit = model.records.length;
    const lowest = Math.min(limit, ...model.cursors.values());
    const bases = real.log.segments().map(({ base }) => base);
    const end = bases.findLast((base) => base <= lowest) ?? 0;
    await real.log.compact();
    model.durable = Math.max(model.durable, limit);
    const latest = new Map<string, number>();
    for (const [offset, known] of model.records.entries()) {
      if (known?.key !== undefined) latest.set(known.key, offset);
    }
    for (const [offset, known] of model.records.entries()) {
      if (offset >= end || known?.key === undefined) continue;
      if (latest.get(known.key) !== offset) model.records[offset] = undefined;
    }
    // Who has a segment open that was replaced reads on in the old one.
    for (const tail of real.tails) tail.close();
    openTails(model, real);
    const all = await collect(real.log.read({ from: 'earliest' }));
    expectRecords(model, all, offsetsFrom(model, model.earliest));
  }

  toString() {
    return 'compact';
  }
}

const share = fc.double({ min: 0, max: 1, noNaN: true });
const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 16_000 }) },
);
const made: fc.Arbitrary<Made> = fc.record({
  form: fc.constantFrom('bytes', 'bytes', 'text', 'described', 'described', 'tombstone'),
  length,
  key: fc.nat(KEYS - 1),
  laterMs: fc.integer({ min: -3, max: 10 }),
});
const few = fc.array(made, { minLength: 1, maxLength: 12 });
/** Enough for a new segment. */
const many = fc.array(made, { minLength: 60, maxLength: 120 });
const commands = [
  few.map((records) => new Append('append', records)),
  fc
    .tuple(few, fc.boolean())
    .map(([records, isMany]) => new Append(isMany ? 'appendBatch' : 'append', records)),
  many.map((records) => new Append('append', records)),
  few.map((records) => new Append('appendAsync', records)),
  few.map((records) => new Append('commit', records)),
  fc.constant(new Flush()),
  fc.constant(new Reopen()),
  fc.constant(new Crash()),
  fc
    .tuple(share, fc.option(fc.nat(50), { nil: undefined }), fc.boolean())
    .map(([from, limit, reverse]) => new Read(from, limit, reverse)),
  fc.tuple(share, fc.nat(5000)).map(([from, maxBytes]) => new ReadBytes(from, maxBytes)),
  share.map((from) => new SeekTime(from)),
  share.map((from) => new OpenTail(from)),
  fc.integer({ min: 1, max: 100 }).map((max) => new PollTails(max)),
  fc
    .tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 1, max: 100 }))
    .map(([name, limit]) => new UseCursor(name, limit)),
  fc.integer({ min: 1, max: 4 }).map((segments) => new Retain(segments)),
  fc.constant(new Compact()),
];

test('a log does what a plain array does, whatever is done to it', async () => {
  let records = 0;
  let removed = 0;
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: MOST_COMMANDS, size: 'max' }), async (all) => {
      const directory = newDirectory();
      const real: Real = { directory, log: await Log.open(directory, OPTIONS), tails: [] };
      const model: Model = {
        records: [],
        earliest: 0,
        durable: 0,
        tails: [],
        cursors: new Map(),
        timeMs: FIRST_TIME_MS,
      };
      try {
        await fc.asyncModelRun(() => ({ model, real }), all);
        await new Read(0, undefined, false).run(model, real);
        records += model.records.length;
        removed += model.earliest;
      } finally {
        await real.log.close();
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
  console.log(`${records} records, ${removed} removed by retention`);
  expect(Math.min(records, removed)).toBeGreaterThan(100);
}, 180_000);
