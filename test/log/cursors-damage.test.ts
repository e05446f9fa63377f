import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { MillraceError } from '../../lib/errors.js';
import { CursorFile } from '../../lib/log/cursors/cursor-file.js';
import * as L from '../../lib/log/cursors/cursor-layout.js';
import { CursorName } from '../../lib/log/cursors/cursor-name.js';
import { binding } from '../../lib/native.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

const opened: CursorFile[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((file) => file.close()));
});

function open(directory: string): CursorFile {
  const file = new CursorFile(directory);
  opened.push(file);
  return file;
}

const nothing = () => Promise.resolve();

const pathIn = (directory: string) => join(directory, 'cursors.mr');
const slotAt = (slot: number) => L.HEADER_BYTES + slot * L.SLOT_BYTES;
const copyAt = (slot: number, index: number) => slotAt(slot) + L.COPIES_OFFSET + index * L.COPY_STRIDE;
const nameOf = (slot: number) => NAMES[slot];

const NAMES = [
  new CursorName('a'),
  new CursorName('orders.billing_2-x'),
  new CursorName('deleted'),
  new CursorName('y'.repeat(200)),
  new CursorName('set-once'),
];
const UNSET = new CursorName('never-set');
/** What each cursor was set to, the latest last; one of them was deleted, and its slot is free. */
const VALUES: (number[] | undefined)[] = [
  [3, 8, 2 ** 33 + 1],
  [100, 101],
  undefined,
  [7, 70, 700, 7000],
  [55],
];

async function made(): Promise<string> {
  const directory = newDirectory();
  const file = new CursorFile(directory);
  await file.set(NAMES[2], 999, false);
  await file.set(UNSET, 1, false);
  await file.delete(NAMES[2]);
  await file.delete(UNSET);
  for (const [slot, values] of VALUES.entries()) {
    const name = nameOf(slot);
    for (const value of values ?? [1]) await file.set(name, value, false);
  }
  await file.delete(NAMES[2]);
  await file.close();
  return directory;
}

/** Bytes of the file changed in place, under whoever has it open. */
class Damage {
  readonly #descriptor: number;
  readonly bytes: Buffer;

  constructor(directory: string) {
    this.#descriptor = openSync(pathIn(directory), 'r+');
    this.bytes = readFileSync(pathIn(directory));
  }

  flip(at: number, bit: number): void {
    writeSync(this.#descriptor, Buffer.of(this.bytes[at] ^ (1 << bit)), 0, 1, at);
  }

  fill(start: number, end: number, value: number): void {
    writeSync(this.#descriptor, Buffer.alloc(end - start, value), 0, end - start, start);
  }

  mend(start = 0, end = this.bytes.length): void {
    writeSync(this.#descriptor, this.bytes, start, end - start, start);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

/** What a cursor reads as; the code of what it throws. */
function read(file: CursorFile, name: CursorName): number | undefined | string {
  try {
    return file.get(name);
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
}

describe('one flipped bit', () => {
  test('in a slot is mended, costs the last set of its cursor, or is reported; no other cursor notices', async () => {
    const directory = await made();
    const file = open(directory);
    using damage = new Damage(directory);
    const seen = { asBefore: 0, older: 0, reported: 0 };
    const everyOther = NAMES.map((_, slot) =>
      NAMES.map((_, other) => other).filter((other) => other !== slot),
    );
    expect(NAMES.map((name) => read(file, name))).toEqual(VALUES.map((values) => values?.at(-1)));
    for (let at = slotAt(0); at < slotAt(NAMES.length + 1); at++) {
      const slot = Math.floor((at - L.HEADER_BYTES) / L.SLOT_BYTES);
      for (let bit = 0; bit < 8; bit++) {
        damage.flip(at, bit);
        const where = `byte ${at - slotAt(slot)}, bit ${bit} of slot ${slot}`;
        for (const other of everyOther[slot] ?? NAMES.keys()) {
          const got = read(file, nameOf(other));
          if (got !== VALUES[other]?.at(-1)) throw new Error(`${where}: slot ${other} reads as ${got}`);
        }
        if (slot < NAMES.length) seen[outcome(file, slot, where)]++;
        damage.mend(at, at + 1);
      }
    }
    // One that was set once has no older copy.
    const reported = 8 * L.COPY_BYTES;
    expect(seen.reported).toBe(reported);
    expect(seen.older).toBe(3 * 8 * L.COPY_BYTES);
    expect(seen.asBefore + seen.older + seen.reported).toBe(NAMES.length * L.SLOT_BYTES * 8);
  });

  /** What became of the damaged cursor. */
  function outcome(file: CursorFile, slot: number, where: string): 'asBefore' | 'older' | 'reported' {
    const values = VALUES[slot];
    const got = read(file, nameOf(slot));
    if (got === values?.at(-1)) return 'asBefore';
    if (values !== undefined && values.length > 1 && got === values.at(-2)) return 'older';
    if (got === 'ERR_CORRUPT') {
      const { code, cursor, slot: named } = thrown(() => file.get(nameOf(slot)));
      expect({ code, cursor, slot: named }).toEqual({ code, cursor: nameOf(slot).text, slot });
      return 'reported';
    }
    throw new Error(`${where}: reads as ${got}`);
  }

  test('never lists a wrong offset, nor loses one from the lowest in silence', async () => {
    const directory = await made();
    const file = open(directory);
    using damage = new Damage(directory);
    const known = VALUES.flatMap((values) => values ?? []);
    for (let at = slotAt(0); at < slotAt(NAMES.length); at++) {
      const bit = at % 8;
      damage.flip(at, bit);
      const list = file.list();
      expect(list.length).toBe(NAMES.length - 1);
      for (const { name, offset, slot } of list) {
        const values = VALUES[slot];
        if (offset !== undefined) expect(values?.slice(-2)).toContain(offset);
        if (name !== undefined) expect(name).toBe(nameOf(slot).text);
      }
      const isLost = list.some(({ offset }) => offset === undefined);
      if (isLost) expect(thrown(() => file.lowest()).code).toBe('ERR_CORRUPT');
      else expect(known).toContain(file.lowest());
      damage.mend(at, at + 1);
    }
  });

  test('in a slot is told, with the place, and put back by repairing, as far as something is stored there', async () => {
    const directory = await made();
    const file = open(directory);
    using damage = new Damage(directory);
    expect(file.faults()).toEqual([]);
    for (let at = slotAt(0); at < slotAt(NAMES.length); at++) {
      const bit = (at * 5) % 8;
      damage.flip(at, bit);
      const slot = Math.floor((at - L.HEADER_BYTES) / L.SLOT_BYTES);
      const [fault, ...others] = file.faults();
      if (!isStored(slot, at - slotAt(slot)) || isAsUnfinished(slot, at, bit)) {
        expect(fault).toBeUndefined();
      } else {
        // A state is wrong as a whole, and so is the checksum of a name.
        const isWhole = [L.STATE_OFFSET, L.NAME_CRC_OFFSET].includes((at - slotAt(slot)) & ~3);
        const position = isWhole ? at & ~3 : at;
        expect({ ...fault, others }).toMatchObject({ slot, position, others: [] });
        const name = VALUES[slot] === undefined ? undefined : nameOf(slot).text;
        expect(fault.name).toBe(name);
        const [told] = file.list().filter((entry) => entry.slot === slot);
        if (name !== undefined) expect(told.damage).toHaveLength(1);
        expect(await file.repair(nothing)).toEqual([]);
        expect(readFileSync(pathIn(directory)).equals(damage.bytes)).toBe(true);
      }
      damage.mend(at, at + 1);
    }
  });

  /** In a free slot that is its state only. */
  function isStored(slot: number, at: number): boolean {
    if (at < L.NAME_LENGTH_OFFSET) return true;
    if (VALUES[slot] === undefined) return false;
    const inCopies = at - L.COPIES_OFFSET;
    return inCopies < 0 ? at < L.NAME_CRC_OFFSET + 4 : inCopies % L.COPY_STRIDE < L.COPY_BYTES;
  }

  /** The bit that makes of the older copy's sequence that of the next: so it is, too, where its writer died just then. */
  function isAsUnfinished(slot: number, at: number, bit: number): boolean {
    const sets = VALUES[slot]?.length ?? 0;
    const older = sets % 2;
    const before = Math.max(0, sets - 1);
    return at - copyAt(slot, older) === 0 && (before ^ (1 << bit)) === sets + 1;
  }

  test('in what the header says is ERR_FORMAT, and elsewhere in its page nothing', async () => {
    const directory = await made();
    using damage = new Damage(directory);
    for (let at = 0; at < L.HEADER_BYTES; at++) {
      const checked = at < L.HEADER_CRC_OFFSET + 4;
      for (let bit = 0; bit < 8; bit += checked ? 1 : 3) {
        damage.flip(at, bit);
        const file = new CursorFile(directory);
        if (checked) {
          expect(thrown(() => file.get(NAMES[0])).code).toBe('ERR_FORMAT');
          expect(thrown(() => file.list()).code).toBe('ERR_FORMAT');
        } else {
          expect(file.get(NAMES[0])).toBe(2 ** 33 + 1);
        }
        await file.close();
        damage.mend(at, at + 1);
      }
    }
    for (const at of [0, L.FORMAT_OFFSET, L.SLOTS_OFFSET, L.HEADER_CRC_OFFSET]) {
      damage.flip(at, 0);
      const file = new CursorFile(directory);
      expect((await failure(() => file.set(NAMES[0], 2 ** 40, true))).code).toBe('ERR_FORMAT');
      await file.close();
      damage.mend(at, at + 1);
    }
  });

  test('anywhere in a slot does not keep its cursor from being set', async () => {
    const directory = await made();
    using damage = new Damage(directory);
    const file = open(directory);
    for (let at = slotAt(1); at < slotAt(2); at++) {
      damage.flip(at, at % 8);
      await file.set(NAMES[1], 102, true);
      expect(file.get(NAMES[1])).toBe(102);
      expect(file.list().map(({ name, offset }) => [name, offset])).toContainEqual([NAMES[1].text, 102]);
      expect(file.list().length).toBe(NAMES.length - 1);
      damage.mend();
    }
  });
});

describe('a slot', () => {
  test('with a damaged name is still its cursor, for who knows the name', async () => {
    const directory = await made();
    const file = open(directory);
    using damage = new Damage(directory);
    damage.fill(slotAt(1) + L.NAME_OFFSET, slotAt(1) + L.NAME_OFFSET + L.NAME_BYTES, 0xff);
    expect(file.get(NAMES[1])).toBe(101);
    expect(file.get(UNSET)).toBeUndefined();
    expect(file.list()[0]).toMatchObject({ name: undefined, offset: 101, slot: 1 });
    expect(file.faults()).toMatchObject([
      { what: 'name', slot: 1, position: slotAt(1) + L.NAME_LENGTH_OFFSET },
    ]);
    // Nothing of it is given up: where it stands is known to who knows the name.
    expect(await file.repair(nothing)).toEqual([]);
    expect(file.get(NAMES[1])).toBe(101);
    expect(file.lowest()).toBe(55);
    await file.set(NAMES[1], 102, false);
    expect(file.list().map(({ name }) => name)).toContain(NAMES[1].text);
    expect(file.get(NAMES[1])).toBe(102);
  });

  test('with two bad copies is set anew by force only, or deleted', async () => {
    for (const mend of ['force', 'delete']) {
      const directory = await made();
      const file = open(directory);
      using damage = new Damage(directory);
      for (const index of [0, 1]) damage.flip(copyAt(1, index) + L.VALUE_OFFSET, 5);
      expect(thrown(() => file.get(NAMES[1]))).toMatchObject({
        code: 'ERR_CORRUPT',
        path: pathIn(directory),
        cursor: NAMES[1].text,
        slot: 1,
      });
      expect(thrown(() => file.lowest())).toMatchObject({ code: 'ERR_CORRUPT', cursor: NAMES[1].text });
      expect((await failure(async () => file.set(NAMES[1], 500, false))).code).toBe('ERR_CORRUPT');
      await file.set(UNSET, 77, false);
      if (mend === 'force') {
        await file.set(NAMES[1], 50, true);
        expect(file.get(NAMES[1])).toBe(50);
        await file.set(NAMES[1], 60, false);
        expect(file.lowest()).toBe(55);
      } else {
        expect(await file.delete(NAMES[1])).toBe(true);
        expect(file.get(NAMES[1])).toBeUndefined();
      }
      expect(file.get(UNSET)).toBe(77);
    }
  });

  test('of which nothing is left may be any cursor that is not found elsewhere, until it is given up', async () => {
    const directory = await made();
    const file = open(directory);
    using damage = new Damage(directory);
    damage.fill(slotAt(1), slotAt(2), 0);
    damage.flip(slotAt(1) + 40, 3);
    for (const name of [NAMES[1], UNSET]) {
      expect(thrown(() => file.get(name))).toMatchObject({ code: 'ERR_CORRUPT', cursor: name.text, slot: 1 });
      expect((await failure(async () => file.set(name, 1000, false))).code).toBe('ERR_CORRUPT');
      expect(await failure(() => file.delete(name))).toMatchObject({ code: 'ERR_CORRUPT' });
    }
    expect([read(file, NAMES[0]), read(file, NAMES[4])]).toEqual([2 ** 33 + 1, 55]);
    await file.set(NAMES[4], 56, false);
    await file.set(UNSET, 1000, true);
    expect(file.get(UNSET)).toBe(1000);
    expect(await file.repair(nothing)).toMatchObject([{ name: undefined, offset: undefined, slot: 1 }]);
    expect(await file.repair(nothing)).toEqual([]);
    expect(file.get(NAMES[1])).toBeUndefined();
    await file.set(NAMES[1], 1, false);
    expect(file.lowest()).toBe(1);
  });

  test('that was free and has a damaged state is free', async () => {
    const directory = await made();
    const file = open(directory);
    using damage = new Damage(directory);
    for (let slot = 0; slot < L.FIRST_SLOTS; slot++)
      if (VALUES[slot] === undefined) damage.flip(slotAt(slot), 1);
    expect(file.list().length).toBe(NAMES.length - 1);
    for (let i = NAMES.length - 1; i < L.FIRST_SLOTS; i++)
      await file.set(new CursorName(`new-${i}`), i, false);
    expect(file.list().length).toBe(L.FIRST_SLOTS);
    expect(readFileSync(pathIn(directory)).length).toBe(slotAt(L.FIRST_SLOTS));
  });
});

describe('a file that was cut off', () => {
  test('anywhere keeps what is left of it, and refuses what it can not know', async () => {
    const directory = await made();
    const whole = readFileSync(pathIn(directory));
    const copy = newDirectory();
    const ends = Array.from({ length: NAMES.length + 2 }, (_, slot) => slotAt(slot));
    // Each byte where something ends, and some of all others.
    const isNearEnd = (size: number) => ends.some((end) => Math.abs(end - size) < 5);
    for (let size = whole.length - 1; size >= 0; size--) {
      if (!isNearEnd(size) && size % 37 !== 0) continue;
      writeFileSync(pathIn(copy), whole.subarray(0, size));
      const file = new CursorFile(copy);
      for (const [slot, name] of NAMES.entries()) {
        const isThere = size >= slotAt(slot + 1) && VALUES[slot] !== undefined;
        const got = read(file, name);
        if (got !== (isThere ? VALUES[slot]?.at(-1) : 'ERR_TRUNCATED')) {
          throw new Error(`Cut off at ${size}, slot ${slot} reads as ${got}`);
        }
      }
      const error = thrown(() => file.lowest());
      const expected = size < L.HEADER_BYTES ? L.HEADER_BYTES : whole.length;
      expect(error).toMatchObject({ code: 'ERR_TRUNCATED', size, expected });
      await file.close();
    }
  });

  test('is whole again after a repair, with all that was left', async () => {
    const directory = await made();
    truncateSync(pathIn(directory), slotAt(3) + 100);
    const file = open(directory);
    const other = open(directory);
    expect(other.get(NAMES[0])).toBe(2 ** 33 + 1);
    const before = readFileSync(pathIn(directory));
    for (const force of [false, true]) {
      expect(await failure(async () => file.set(NAMES[0], 2 ** 40, force))).toMatchObject({
        code: 'ERR_TRUNCATED',
        size: slotAt(3) + 100,
        expected: slotAt(L.FIRST_SLOTS),
      });
    }
    expect((await failure(() => file.delete(NAMES[0]))).code).toBe('ERR_TRUNCATED');
    expect(readFileSync(pathIn(directory)).equals(before)).toBe(true);
    expect(file.faults()).toMatchObject([{ slot: 3, what: 'missing', position: slotAt(3) + 100 }]);
    expect(await file.repair(nothing)).toMatchObject([{ name: undefined, offset: undefined, slot: 3 }]);
    for (const one of [file, other]) {
      expect([NAMES[0], NAMES[1], NAMES[3], UNSET].map((name) => one.get(name))).toEqual([
        2 ** 33 + 1,
        101,
        undefined,
        undefined,
      ]);
    }
    await other.set(UNSET, 1, false);
    expect(readFileSync(pathIn(directory)).length).toBe(slotAt(L.FIRST_SLOTS));
  });
});

describe('a file that is none', () => {
  test.each([
    ['of text', Buffer.from('x'.repeat(10_000))],
    ['too long', Buffer.concat([Buffer.alloc(slotAt(L.MOST_SLOTS) + 1)])],
    ['of zeros', Buffer.alloc(slotAt(4))],
  ])('%s', async (_, bytes) => {
    const directory = newDirectory();
    writeFileSync(pathIn(directory), bytes);
    expect(thrown(() => open(directory).get(UNSET)).code).toBe('ERR_FORMAT');
    expect(readFileSync(pathIn(directory)).equals(bytes)).toBe(true);
  });

  test('but one of a later version', async () => {
    const directory = await made();
    const bytes = readFileSync(pathIn(directory));
    for (const [offset, facts] of [
      [L.FORMAT_OFFSET, { format: 2 }],
      [L.FEATURES_OFFSET, { features: 2 }],
    ] as const) {
      const later = Buffer.from(bytes);
      later.writeUInt32LE(2, offset);
      later.writeInt32LE(binding().crc32c(later, 0, L.HEADER_CRC_OFFSET, 0), L.HEADER_CRC_OFFSET);
      const place = newDirectory();
      writeFileSync(pathIn(place), later);
      expect(thrown(() => open(place).get(UNSET))).toMatchObject({ code: 'ERR_FORMAT', ...facts });
    }
  });

  test('longer than it says', async () => {
    const directory = await made();
    const place = newDirectory();
    copyFileSync(pathIn(directory), pathIn(place));
    writeFileSync(pathIn(place), Buffer.alloc(1), { flag: 'a' });
    expect(thrown(() => open(place).get(UNSET)).code).toBe('ERR_FORMAT');
  });
});
