import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inspect, MillraceError, Reader, Refusal, Writer } from '../../lib/index.js';
import { type Mortal, mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';

/**
 * A channel against a plain array: random commands, carried out on both, must have the same outcome. A failure
 * prints the seed and the shortest commands that lead to it. MODEL_SEED and MODEL_RUNS give it others, and more.
 */
const SEED = Number(process.env.MODEL_SEED ?? 31_415);
const CAPACITY = 65536;
const RESERVED = 64;
/** A stride, and the largest record and a PAD that no mark may stand in: what is that near to its end can't be found. */
const COARSE = 4096 + 8208 + 8208;
type Mode = 'ring' | 'linear';
type Gate = true | undefined | false;

interface Written {
  position: number;
  length: number;
}

interface ModelReader {
  gating: boolean;
  /** Which record comes next. */
  next: number;
}

interface Model {
  mode: Mode;
  records: Written[];
  state: 'open' | 'dead' | 'closed' | 'sealed';
  readers: ModelReader[];
}

interface Real {
  path: string;
  life: Mortal<unknown>;
  readers: Reader[];
}

type Command = fc.AsyncCommand<Model, Real>;

const frame = (length: number) => (length + 16 + 15) & -16;
const typeOf = (record: number) => (record * 3) & 0xffff;
const writerOf = (real: Real) => real.life.writer as Writer;

/** What a write of frames of `need` bytes in one piece must give. */
function expectedRefusal(model: Model, real: Real, need: number): number | undefined {
  const { position } = writerOf(real);
  const lapLeft = CAPACITY - (position % CAPACITY);
  if (model.mode === 'linear') return position + need + RESERVED > CAPACITY ? Refusal.FULL : undefined;
  const pad = need > lapLeft ? lapLeft : 0;
  const slowest = Math.min(
    position,
    ...real.readers.filter((_, i) => model.readers[i].gating).map((r) => r.position),
  );
  return position - slowest + pad + need + RESERVED > CAPACITY ? Refusal.BACK_PRESSURE : undefined;
}

function expectRecord(model: Model, n: number, bytes: Buffer, type: number): void {
  const expected = model.records[n];
  if (expected === undefined) throw new Error(`Record ${n} was never written`);
  expect([n, type, bytes.length]).toEqual([n, typeOf(n), expected.length]);
  if (!bytes.equals(payloadOf(n, expected.length))) throw new Error(`Record ${n} has other content`);
}

/**
 * Reads, and where an observer was overtaken: checks that it was, and that it lost just what it says. (One that was
 * overtaken may first hand out what it had copied before that; that its content is right is checked for each record.)
 */
function reading(model: Model, real: Real, i: number, read: () => void): void {
  const reader = real.readers[i];
  const known = model.readers[i];
  try {
    read();
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'ERR_OVERTAKEN') throw error;
    const { limit } = inspect(real.path);
    expect(model.mode === 'ring' && !known.gating).toBe(true);
    expect(limit - (error.from as number)).toBeGreaterThan(CAPACITY);
    known.next += error.lost as number;
    expect(reader.recordNumber).toBe(known.next);
    // It goes on no later than it must.
    const at = model.records[known.next]?.position ?? writerOf(real).position;
    expect(limit - at).toBeLessThanOrEqual(CAPACITY);
    expect(limit - at).toBeGreaterThan(CAPACITY - COARSE);
  }
}

abstract class Writing implements Command {
  check(model: Readonly<Model>): boolean {
    return model.state === 'open';
  }
  abstract run(model: Model, real: Real): Promise<void>;
  abstract toString(): string;
}

class Write extends Writing {
  readonly length: number;

  constructor(length: number) {
    super();
    this.length = length;
  }
  async run(model: Model, real: Real) {
    const n = model.records.length;
    const refusal = expectedRefusal(model, real, frame(this.length));
    const taken = writerOf(real).tryWrite(payloadOf(n, this.length), typeOf(n));
    expect(taken).toBe(refusal ?? frame(this.length));
    if (taken > 0) model.records.push({ position: writerOf(real).position - taken, length: this.length });
  }
  toString() {
    return `write(${this.length})`;
  }
}

class Batch extends Writing {
  readonly lengths: number[];

  constructor(lengths: number[]) {
    super();
    this.lengths = lengths;
  }
  async run(model: Model, real: Real) {
    const first = model.records.length;
    const need = this.lengths.reduce((sum, length) => sum + frame(length), 0);
    const records = this.lengths.map((length, i) => ({
      data: payloadOf(first + i, length),
      type: typeOf(first + i),
    }));
    const largest = model.mode === 'ring' ? CAPACITY / 4 : CAPACITY - RESERVED;
    const refusal = need > largest ? Refusal.TOO_LARGE : expectedRefusal(model, real, need);
    const taken = writerOf(real).tryWriteBatch(records);
    expect(taken).toBe(refusal ?? need);
    if (taken < 0) return;
    let position = writerOf(real).position - taken;
    for (const length of this.lengths) {
      model.records.push({ position, length });
      position += frame(length);
    }
  }
  toString() {
    return `batch(${this.lengths})`;
  }
}

class Claim extends Writing {
  readonly length: number;
  readonly used: number | undefined;

  constructor(length: number, used: number | undefined) {
    super();
    this.length = length;
    this.used = used;
  }
  async run(model: Model, real: Real) {
    const writer = writerOf(real);
    const n = model.records.length;
    const refusal = expectedRefusal(model, real, frame(this.length));
    const claim = writer.claim(this.length, typeOf(n));
    expect(claim === undefined).toBe(refusal !== undefined);
    if (claim === undefined) return;
    const used = this.used === undefined ? undefined : Math.floor(this.used * this.length);
    claim.bytes.set(payloadOf(n, used ?? this.length), claim.start);
    expect((await failure(() => writer.write('meanwhile'))).code).toBe('ERR_BUSY');
    if (used === undefined) {
      claim.abort();
      return;
    }
    const taken = claim.commit(used);
    expect(taken).toBe(frame(used));
    model.records.push({ position: writer.position - taken, length: used });
  }
  toString() {
    return `claim(${this.length}, ${this.used ?? 'abort'})`;
  }
}

class Fill extends Writing {
  readonly count: number;
  readonly length: number;

  constructor(count: number, length: number) {
    super();
    this.count = count;
    this.length = length;
  }
  async run(model: Model, real: Real) {
    for (let i = 0; i < this.count; i++) await new Write((this.length + i * 7) % 4000).run(model, real);
  }
  toString() {
    return `fill(${this.count}, ${this.length})`;
  }
}

abstract class Reading implements Command {
  readonly pick: number;

  constructor(pick: number) {
    this.pick = pick;
  }
  check(model: Readonly<Model>): boolean {
    return model.readers.length > 0;
  }
  async run(model: Model, real: Real) {
    const i = this.pick % model.readers.length;
    this.read(model, real, i);
    // One that holds the writer back is where it says, for all to see.
    if (model.readers[i].gating) {
      expect(inspect(real.path).readers.map(({ position }) => position)).toContain(real.readers[i].position);
    }
  }
  abstract read(model: Model, real: Real, i: number): void;
  abstract toString(): string;
}

class Poll extends Reading {
  readonly limit: number | undefined;
  readonly copy: boolean;

  constructor(pick: number, limit: number | undefined, copy: boolean) {
    super(pick);
    this.limit = limit;
    this.copy = copy;
  }
  read(model: Model, real: Real, i: number) {
    const known = model.readers[i];
    const reader = real.readers[i];
    reading(model, real, i, () => {
      const expected = Math.min(this.limit ?? Number.POSITIVE_INFINITY, model.records.length - known.next);
      const polled = reader.poll(
        (bytes, start, end, type) => {
          expectRecord(model, known.next, bytes.subarray(start, end), type);
          expect(reader.recordPosition).toBe(model.records[known.next].position);
          expect(reader.recordNumber).toBe(known.next);
          known.next++;
        },
        { limit: this.limit, copy: this.copy },
      );
      expect(polled).toBe(expected);
    });
    // For others it would be a look at the data, which may be the one that finds them overtaken.
    if (known.gating || model.mode === 'linear') {
      expect(reader.ended).toBe(known.next === model.records.length && isFinal(model));
    }
  }
  toString() {
    return `poll(${this.pick}, ${this.limit}${this.copy ? ', copy' : ''})`;
  }
}

/** A handler that throws has not consumed its record. */
class PollAndThrow extends Reading {
  read(model: Model, real: Real, i: number) {
    const known = model.readers[i];
    const there = model.records.length - known.next;
    let calls = 0;
    reading(model, real, i, () => {
      const work = () =>
        real.readers[i].poll(() => {
          if (++calls === 3) throw new MillraceError('ERR_SYSTEM', 'enough');
        });
      if (there >= 3) {
        const { code } = thrown(work);
        if (code === 'ERR_OVERTAKEN') work();
        expect(code).toBe('ERR_SYSTEM');
      } else work();
      known.next += Math.min(there, 2);
    });
  }
  override check(model: Readonly<Model>): boolean {
    return model.readers.length > 0 && model.readers[this.pick % model.readers.length].gating;
  }
  toString() {
    return `pollAndThrow(${this.pick})`;
  }
}

class Read extends Reading {
  read(model: Model, real: Real, i: number) {
    const known = model.readers[i];
    reading(model, real, i, () => {
      const record = real.readers[i].read();
      expect(record === undefined).toBe(known.next === model.records.length);
      if (record === undefined) return;
      expectRecord(model, known.next, record.data, record.type);
      expect([record.record, record.position]).toEqual([known.next, model.records[known.next].position]);
      known.next++;
    });
  }
  toString() {
    return `read(${this.pick})`;
  }
}

class Seek extends Reading {
  readonly to: number | 'oldest' | 'latest';
  readonly by: 'record' | 'position';

  constructor(pick: number, to: number | 'oldest' | 'latest', by: 'record' | 'position') {
    super(pick);
    this.to = to;
    this.by = by;
  }
  read(model: Model, real: Real, i: number) {
    const known = model.readers[i];
    const reader = real.readers[i];
    const { records } = model;
    if (typeof this.to === 'string') {
      reader.seek(this.to);
      if (this.to === 'latest') expect(reader.recordNumber).toBe(records.length);
      else if (model.mode === 'linear') expect(reader.recordNumber).toBe(0);
      known.next = reader.recordNumber;
      expectStands(model, real, known.next);
      return;
    }
    const goal = Math.floor(this.to * (records.length + 1));
    const position = records[goal]?.position ?? writerOf(real).position;
    const from = reader.position;
    try {
      reader.seek(this.by === 'record' ? { record: goal } : position);
      known.next = goal;
      expect(reader.recordNumber).toBe(goal);
      expectStands(model, real, goal);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_OVERTAKEN' });
      // Gone, or within a stride of what is gone; and the reader has not moved.
      expect(inspect(real.path).limit - position).toBeGreaterThan(CAPACITY - COARSE);
      expect(reader.position).toBe(from);
    }
  }
  toString() {
    return `seek(${this.pick}, ${this.by} ${this.to})`;
  }
}

function expectStands(model: Model, real: Real, n: number): void {
  if (model.mode === 'linear' || n === model.records.length) return;
  expect(inspect(real.path).limit - model.records[n].position).toBeLessThanOrEqual(CAPACITY);
}

class Backwards extends Reading {
  read(model: Model, real: Real, i: number) {
    let n = model.readers[i].next;
    for (const record of real.readers[i].backwards()) {
      n--;
      expectRecord(model, n, record.data, record.type);
      expect([record.record, record.position]).toEqual([n, model.records[n].position]);
    }
    if (model.mode === 'linear') expect(n).toBe(0);
  }
  toString() {
    return `backwards(${this.pick})`;
  }
}

class CloseReader extends Reading {
  override async run(model: Model, real: Real) {
    const i = this.pick % model.readers.length;
    model.readers.splice(i, 1);
    const [reader] = real.readers.splice(i, 1);
    reader.close();
    expect(thrown(() => reader.read()).code).toBe('ERR_CLOSED_HANDLE');
    expect(inspect(real.path).readers.length).toBe(model.readers.length);
  }
  read() {}
  toString() {
    return `closeReader(${this.pick})`;
  }
}

class OpenReader implements Command {
  readonly gate: Gate;
  readonly from: 'oldest' | 'latest';

  constructor(gate: Gate, from: 'oldest' | 'latest') {
    this.gate = gate;
    this.from = from;
  }
  check(model: Readonly<Model>): boolean {
    return model.readers.length < 4;
  }
  async run(model: Model, real: Real) {
    const reader = await Reader.open(real.path, { gate: this.gate, from: this.from });
    real.readers.push(reader);
    const next = reader.recordNumber;
    model.readers.push({ gating: model.mode === 'ring' && this.gate !== false, next });
    if (this.from === 'latest') expect(next).toBe(model.records.length);
    expectStands(model, real, next);
    expect(inspect(real.path).readers.length).toBe(model.readers.length);
  }
  toString() {
    return `openReader(gate ${this.gate}, ${this.from})`;
  }
}

class End extends Writing {
  readonly as: 'close' | 'seal';

  constructor(as: 'close' | 'seal') {
    super();
    this.as = as;
  }
  async run(model: Model, real: Real) {
    const writer = writerOf(real);
    writer[this.as]();
    model.state = this.as === 'close' ? 'closed' : 'sealed';
    expect(writer.tryWrite('x')).toBe(Refusal.ENDED);
    expect((await failure(() => Writer.resume(real.path))).code).toBe('ERR_ENDED');
    for (const reader of real.readers) expect(reader.status).toBe(model.state);
  }
  toString() {
    return this.as;
  }
}

class Crash extends Writing {
  async run(model: Model, real: Real) {
    real.life.crash();
    model.state = 'dead';
    expect(inspect(real.path).status).toBe('dead');
    for (const reader of real.readers) {
      expect(reader.status).toBe('dead');
    }
  }
  toString() {
    return 'crash';
  }
}

class Resume implements Command {
  check(model: Readonly<Model>): boolean {
    return model.state === 'dead';
  }
  async run(model: Model, real: Real) {
    const before = writerOf(real).position;
    real.life = (await mortal(() => Writer.resume(real.path))) as Mortal<unknown>;
    model.state = 'open';
    expect(writerOf(real).position).toBe(before);
    expect(writerOf(real).stats().records).toBe(model.records.length);
  }
  toString() {
    return 'resume';
  }
}

const isFinal = (model: Model) => model.state === 'closed' || model.state === 'sealed';

const length = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 400 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 8192 }) },
);
const pick = fc.nat(11);
const share = fc.double({ min: 0, max: 1, noNaN: true });
const commands = [
  length.map((bytes) => new Write(bytes)),
  fc.array(length, { minLength: 1, maxLength: 12 }).map((lengths) => new Batch(lengths)),
  fc.tuple(length, fc.option(share, { nil: undefined })).map(([bytes, used]) => new Claim(bytes, used)),
  fc.tuple(fc.integer({ min: 1, max: 60 }), fc.nat(4000)).map(([count, bytes]) => new Fill(count, bytes)),
  fc
    .tuple(pick, fc.option(fc.nat(40), { nil: undefined }), fc.boolean())
    .map(([i, limit, copy]) => new Poll(i, limit, copy)),
  pick.map((i) => new Poll(i, undefined, false)),
  pick.map((i) => new PollAndThrow(i)),
  pick.map((i) => new Read(i)),
  fc
    .tuple(pick, fc.oneof(share, fc.constantFrom('oldest' as const, 'latest' as const)), fc.boolean())
    .map(([i, to, byRecord]) => new Seek(i, to, byRecord ? 'record' : 'position')),
  pick.map((i) => new Backwards(i)),
  pick.map((i) => new CloseReader(i)),
  fc
    .tuple(
      fc.constantFrom<Gate>(true, undefined, false, false),
      fc.constantFrom('oldest' as const, 'latest' as const),
    )
    .map(([gate, from]) => new OpenReader(gate, from)),
  fc.constant(new Crash()),
  fc.constant(new Resume()),
];
// Rarely: nothing is written after an end.
const ending = fc
  .integer({ min: 0, max: 20 })
  .map((n) => (n === 0 ? new End('close') : n === 1 ? new End('seal') : new Read(n)));

describe.each(['ring', 'linear'] as const)('a %s channel', (mode) => {
  test('does what a plain array does, whatever is done to it', async () => {
    let laps = 0;
    let losses = 0;
    await fc.assert(
      fc.asyncProperty(fc.commands([...commands, ending], { maxCommands: 120, size: 'max' }), async (all) => {
        const path = newPath();
        const life = (await mortal(() =>
          Writer.create(path, { mode, capacity: CAPACITY, readers: 8 }),
        )) as Mortal<unknown>;
        const real: Real = { path, life, readers: [] };
        const model: Model = { mode, records: [], state: 'open', readers: [] };
        try {
          await fc.asyncModelRun(() => ({ model, real }), all);
          laps += Math.floor(writerOf(real).position / CAPACITY);
          losses += inspect(path).readers.reduce((sum, { overtaken }) => sum + overtaken, 0);
          // At last: everyone reads all there is to the end.
          if (model.state === 'open') {
            writerOf(real).close();
            model.state = 'closed';
          }
          for (const [i, reader] of real.readers.entries()) {
            new Poll(i, undefined, false).read(model, real, i);
            if (model.readers[i].next < model.records.length)
              new Poll(i, undefined, false).read(model, real, i);
            expect(model.readers[i].next).toBe(model.records.length);
            if (model.state !== 'dead') expect(reader.ended).toBe(true);
          }
        } finally {
          for (const reader of real.readers) reader.close();
          if (model.state === 'open') writerOf(real).close();
        }
      }),
      { seed: SEED, numRuns: Number(process.env.MODEL_RUNS ?? 120) },
    );
    if (mode === 'ring') expect(Math.min(laps, losses)).toBeGreaterThan(5);
  });
});
