import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createWriter } from '../../lib/channel/ends/writer.js';
import { Reader, Refusal, verify, type Where, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';

const SEED = 20_240;
const CAPACITY = 65536;

interface Plan {
  mode: 'ring' | 'linear';
  base: { position: number; record: number };
  records: { length: number; clock: number; batched: boolean }[];
  /** After which records the writer dies and another goes on. */
  deaths: number[];
  end: 'live' | 'closed' | 'sealed' | 'dead';
}

interface Known {
  position: number;
  record: number;
  timestamp: number;
  length: number;
}

const CLOCK = 1_700_000_000_000_000;

/** Mostly small, some larger than a stride (4 KiB here); clocks that stand still, run and jump back. */
const recordPlan = fc.record({
  length: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 2, arbitrary: fc.constantFrom(4063, 4064, 4065, 4080, 4096, 4097) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 8192 }) },
  ),
  clock: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 5 }) },
    { weight: 1, arbitrary: fc.integer({ min: -50, max: -1 }) },
    { weight: 1, arbitrary: fc.integer({ min: 5, max: 200 }) },
  ),
  batched: fc.boolean(),
});

const plans = (mode: Plan['mode']): fc.Arbitrary<Plan> =>
  fc.record({
    mode: fc.constant(mode),
    base: fc.constantFrom(
      { position: 0, record: 0 },
      { position: 16 * 777, record: 3 },
      { position: 2 ** 36 - 32768, record: 2 ** 32 - 20 },
    ),
    records: fc.array(recordPlan, { minLength: 0, maxLength: mode === 'ring' ? 700 : 250, size: 'max' }),
    deaths: fc.array(fc.nat(400), { maxLength: 2 }),
    end: fc.constantFrom('live' as const, 'closed' as const, 'sealed' as const, 'dead' as const),
  });

/** Does as planned; returns all that was ever written. */
async function carryOut(plan: Plan) {
  const path = newPath();
  const { mode, base } = plan;
  let life = await mortal(() => createWriter(path, { mode, capacity: CAPACITY, timestamps: true }, base));
  const written: Known[] = [];
  let timestamp = CLOCK;
  for (const [n, { length, clock, batched }] of plan.records.entries()) {
    if (plan.deaths.includes(n)) {
      life.crash();
      life = await mortal(() => Writer.resume(path));
    }
    timestamp += clock;
    const data = payloadOf(n, length);
    const { writer } = life;
    if (mode === 'linear' && writer.remaining < length + 32) break;
    const when = { timestamp: { us: timestamp } };
    const position = batched ? writer.writeBatch([{ data, ...when }]) : writer.write(data, when);
    written.push({ position, record: base.record + n, timestamp, length });
  }
  const { position } = life.writer;
  if (plan.end === 'closed') life.writer.close();
  if (plan.end === 'sealed') life.writer.seal();
  if (plan.end === 'dead') life.crash();
  return {
    path,
    written,
    end: position,
    done: () => (plan.end === 'live' ? life.writer.close() : undefined),
  };
}

/** What a reader finds from where it stands, by `read` alone. */
function scan(reader: Reader, base: number): Known[] {
  const found: Known[] = [];
  for (let record = reader.read(); record !== undefined; record = reader.read()) {
    if (!record.data.equals(payloadOf(record.record - base, record.data.length))) {
      throw new Error(`Record ${record.record} has other content`);
    }
    found.push(known(record));
  }
  return found;
}

function known(record: { position: number; record: number; timestamp?: number; data: Buffer }): Known {
  const { position, timestamp = Number.NaN, data } = record;
  return { position, record: record.record, timestamp, length: data.length };
}

function expectAt(reader: Reader, where: Where, expected: Known | undefined): void {
  reader.seek(where);
  const record = reader.read();
  expect({ where, ...(record && known(record)) }).toEqual({ where, ...expected });
}

describe.each(['ring', 'linear'] as const)('in a %s channel', (mode) => {
  test('every way of seeking finds what a scan finds', async () => {
    let wrapped = 0;
    await fc.assert(
      fc.asyncProperty(
        plans(mode),
        fc.infiniteStream(fc.nat()),
        fc.boolean(),
        async (plan, chance, observe) => {
          const pick = (below: number) => (chance.next().value as number) % below;
          const { path, written, end, done } = await carryOut(plan);
          const gate = observe && mode === 'ring' ? { gate: false, register: false } : {};
          using reader = await Reader.open(path, { from: 'oldest', ...gate });
          const present = scan(reader, plan.base.record);
          // What is there is the end of what was written; only a ring forgets, and never more than it must.
          expect(present).toEqual(written.slice(written.length - present.length));
          const gone = written.slice(0, written.length - present.length);
          if (mode === 'linear') expect(gone).toEqual([]);
          else if (end - plan.base.position <= CAPACITY - 4096 - 64) expect(gone).toEqual([]);
          else if (gone.length > 0) wrapped++;
          if (present.length > 0) {
            expect(end - present[0].position).toBeGreaterThanOrEqual(
              Math.min(end - plan.base.position, CAPACITY - 4096 - 4096 - 64 - 8192 - 32),
            );
          }

          for (let i = 0; i < 25 && present.length > 0; i++) {
            const at = i < 2 ? i * (present.length - 1) : pick(present.length);
            const goal = present[at];
            expectAt(reader, goal.position, goal);
            expectAt(reader, { record: goal.record }, goal);
            const time = goal.timestamp + pick(3) - 1;
            expectAt(
              reader,
              { time: { us: time } },
              present.find(({ timestamp }) => timestamp >= time),
            );
          }
          expectAt(reader, 'oldest', present[0]);
          expectAt(reader, 'latest', undefined);
          expectAt(reader, end, undefined);
          const past = Math.max(CLOCK, ...present.map(({ timestamp }) => timestamp)) + 1;
          expectAt(reader, { time: { us: past } }, undefined);
          expectAt(reader, { time: 0 }, present[0]);

          for (const goal of [gone[0], gone[pick(gone.length || 1)], gone.at(-1)]) {
            if (goal === undefined) continue;
            expect(thrown(() => reader.seek(goal.position)).code).toBe('ERR_OVERTAKEN');
            expect(thrown(() => reader.seek({ record: goal.record })).code).toBe('ERR_OVERTAKEN');
          }
          const boundaries = new Set([...written.map(({ position }) => position), end]);
          for (let i = 0; i < 5 && present.length > 0; i++) {
            const wrong = present[0].position + 16 * pick((end - present[0].position) / 16);
            // A PAD frame at a lap's end is not a record, but it is where one may look.
            if (boundaries.has(wrong) || (wrong - plan.base.position) % CAPACITY === 0) continue;
            if (isPad(wrong, written, plan.base.position)) continue;
            expect(thrown(() => reader.seek(wrong)).code).toBe('ERR_INVALID_ARGUMENT');
          }
          expect(thrown(() => reader.seek(end + 16)).code).toBe('ERR_INVALID_ARGUMENT');
          const next = plan.base.record + written.length;
          expect(thrown(() => reader.seek({ record: next + 1 })).code).toBe('ERR_INVALID_ARGUMENT');
          expectAt(reader, { record: next }, undefined);
          done();
        },
      ),
      { seed: SEED, numRuns: 60, endOnFailure: false },
    );
    if (mode === 'ring') expect(wrapped).toBeGreaterThan(10);
  });

  test('reading backwards gives what a scan gives, the other way round', async () => {
    await fc.assert(
      fc.asyncProperty(plans(mode), fc.infiniteStream(fc.nat()), async (plan, chance) => {
        const { path, written, done } = await carryOut(plan);
        using reader = await Reader.open(path, { from: 'oldest' });
        const present = scan(reader, plan.base.record);
        expect([...reader.backwards()].map(known)).toEqual(present.toReversed());
        for (let i = 0; i < 4 && present.length > 0; i++) {
          const at = (chance.next().value as number) % present.length;
          reader.seek(present[at].position);
          expect([...reader.backwards()].map(known)).toEqual(present.slice(0, at).reverse());
          // It stands where it stood.
          expect(reader.read()).toMatchObject({ position: present[at].position });
        }
        reader.seek('oldest');
        expect([...reader.backwards()]).toEqual([]);
        expect(written.length).toBeGreaterThanOrEqual(present.length);
        done();
      }),
      { seed: SEED + 1, numRuns: 40 },
    );
  });

  test('opening somewhere is opening and seeking there', async () => {
    using writer = await Writer.create(newPath(), { mode, capacity: CAPACITY, timestamps: true });
    const positions: number[] = [];
    for (let i = 0; i < 300; i++) {
      positions.push(writer.write(String(i), { timestamp: { us: CLOCK + i * 1000 } }));
    }
    const places: [Where | undefined, number | undefined][] = [
      ['oldest', 0],
      ['latest', undefined],
      [undefined, mode === 'ring' ? undefined : 0],
      [positions[211], 211],
      [writer.position, undefined],
      [{ record: 17 }, 17],
      [{ record: 300 }, undefined],
      [{ time: (CLOCK + 5000) / 1000 }, 5],
      [{ time: new Date((CLOCK + 5000) / 1000) }, 5],
      [{ time: { us: CLOCK + 4001 } }, 5],
    ];
    for (const [from, record] of places) {
      using reader = await Reader.open(writer.path, { from });
      expect(reader.read()?.record).toBe(record);
    }
    for (const from of [
      { record: 301 },
      positions[3] + 16 * 3 * 300,
      { record: -1 },
      'newest',
      {},
      Number.NaN,
      true,
    ]) {
      const error = await failure(() => Reader.open(writer.path, { from: from as Where }));
      expect(error.code).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(writer.readers()).toEqual([]);
  });

  test('a place in time needs timestamps, and the error says so', async () => {
    using writer = await Writer.create(newPath(), { mode, capacity: CAPACITY });
    const error = await failure(() => Reader.open(writer.path, { from: { time: 1 } }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toMatch(/timestamps/);
  });

  test('after a seek that failed, the reader reads on where it stood', async () => {
    using writer = await Writer.create(newPath(), { mode, capacity: CAPACITY, timestamps: true });
    for (let i = 0; i < 100; i++) writer.write(String(i));
    for (const gate of [true, false]) {
      using reader = await Reader.open(writer.path, { from: { record: 40 }, gate });
      for (const where of [7, 10 ** 9, { record: 10 ** 6 }, -16, { record: -1 }] as Where[]) {
        expect(thrown(() => reader.seek(where)).code).toBe('ERR_INVALID_ARGUMENT');
        expect(reader.recordNumber).toBe(40);
      }
      expect(reader.read()?.data.toString()).toBe('40');
    }
  });
});

test('of a batch that was not written no time is left in the marks', async () => {
  using writer = await Writer.create(newPath(), { mode: 'linear', capacity: CAPACITY, timestamps: true });
  const fillTo = (remaining: number) => {
    while (writer.remaining > remaining) writer.write(Buffer.alloc(100), { timestamp: { us: CLOCK } });
  };
  fillTo(30_000);
  const late = { data: Buffer.alloc(12_000), timestamp: { us: CLOCK + 1_000_000 } };
  expect(writer.tryWriteBatch([late, late, late])).toBe(Refusal.FULL);
  fillTo(1000);
  writer.close();
  expect(await verify(writer.path)).toMatchObject({ sound: true, faults: [] });
});

test('a reader that holds the writer back can always seek to where it stands', async () => {
  using writer = await Writer.create(newPath(), { capacity: CAPACITY });
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: true });
  for (let i = 0, read = 0; i < 3000; i++) {
    while (writer.tryWrite(payloadOf(i, 300)) < 0) {
      const { position } = reader;
      reader.seek(position);
      expect(reader.position).toBe(position);
      expect(reader.read()?.record).toBe(read);
      read++;
    }
  }
});

test('seeking back holds the writer back from there', async () => {
  using writer = await Writer.create(newPath(), { capacity: CAPACITY });
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: true });
  for (let i = 0; i < 100; i++) writer.write(payloadOf(i, 300));
  reader.poll(() => {});
  reader.seek({ record: 50 });
  expect(writer.readers()[0].position).toBeLessThanOrEqual(reader.position);
  let written = 100;
  while (writer.tryWrite(payloadOf(written, 300)) > 0) written++;
  for (let i = 50; i < written; i++) {
    const record = reader.read();
    expect(record?.record).toBe(i);
    expect(record?.data.equals(payloadOf(i, 300))).toBe(true);
  }
  expect(reader.read()).toBeUndefined();
  expect(writer.tryWrite('more')).toBeGreaterThan(0);
});

/** Whether `position` lies in the stretch between a record and the start of the next lap. */
function isPad(position: number, written: readonly Known[], base: number): boolean {
  const before = written.findLast((record) => record.position <= position);
  if (before === undefined) return false;
  const frameEnd = before.position + ((before.length + 32 + 15) & -16);
  return (
    position >= frameEnd &&
    Math.floor((position - base) / CAPACITY) === Math.floor((before.position - base) / CAPACITY)
  );
}
