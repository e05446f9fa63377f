import { appendFileSync, cpSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inspect } from '../../lib/channel/index.js';
import * as L from '../../lib/channel/layout.js';
import type { MillraceError } from '../../lib/errors.js';
import { Log } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';
import { collect } from './collect.js';
import { fileOf, flip, someLog } from './damaging.js';

describe('a segment that was put where another one belongs', () => {
  type Put = (directory: string, base: number, bases: number[]) => Promise<string>;
  const WAYS: [what: string, put: Put][] = [
    [
      'of another log',
      async (directory, base) => {
        const other = await someLog();
        cpSync(fileOf(other.directory, base), fileOf(directory, base));
        return `The segment ${fileOf(directory, base)} is of another log`;
      },
    ],
    [
      'of this log',
      async (directory, base, bases) => {
        const following = bases[bases.indexOf(base) + 1];
        cpSync(fileOf(directory, following), fileOf(directory, base));
        return `The segment ${fileOf(directory, base)} is the one of record ${following}, under a wrong name`;
      },
    ],
  ];

  test.each(WAYS)(
    '%s, is not read as it, whichever way that is come to; what follows is told',
    async (_, put) => {
      const { directory, bases, next } = await someLog();
      const [, base, nextOffset] = bases;
      const wrong = await put(directory, base, bases);
      const message = `${wrong}; Log.repair, or millrace log repair, sets it aside`;
      const expected = {
        code: 'ERR_FORMAT',
        path: fileOf(directory, base),
        offset: base,
        nextOffset,
        message,
      };
      const log = await Log.open(directory, { readOnly: true });
      const offsets: number[] = [];
      const forwards = async () => {
        for await (const { offset } of log.read()) offsets.push(offset);
      };
      // More than once: what was refused is not taken for what is being read.
      const tail = log.tail({ from: base - 1 });
      expect(tail.read()?.offset).toBe(base - 1);
      const before: number[] = [];
      const backwards = async () => {
        for await (const { offset } of log.read({ reverse: true, from: nextOffset + 1 })) before.push(offset);
      };
      const back = { ...expected, offset: nextOffset - 1, nextOffset: base - 1 };
      expect(await failure(backwards)).toMatchObject(back);
      expect(before).toEqual([nextOffset + 1, nextOffset]);
      for (const look of [
        forwards,
        async () => log.tail({ from: base }),
        async () => tail.read(),
        async () => tail.read(),
      ]) {
        expect(await failure(look)).toMatchObject(expected);
      }
      expect(offsets).toEqual(Array.from({ length: base }, (_, offset) => offset));
      expect((await collect(log.read({ from: nextOffset }))).map(({ offset }) => offset)).toEqual(
        Array.from({ length: next - nextOffset }, (_, i) => nextOffset + i),
      );
      await log.close();
    },
  );

  test('is not compacted, and does not decide what is: no segment is rewritten', async () => {
    const { directory, bases } = await someLog();
    const [, base] = bases;
    const other = await someLog();
    cpSync(fileOf(other.directory, base), fileOf(directory, base));
    const incarnations = () => bases.map((each) => inspect(fileOf(directory, each)).incarnation);
    const log = await Log.open(directory);
    const before = incarnations();
    expect(await failure(() => log.compact())).toMatchObject({
      code: 'ERR_FORMAT',
      path: fileOf(directory, base),
    });
    expect(incarnations()).toEqual(before);
    await log.close();
  });

  test('is read where nothing says which log it is, and verify tells', async () => {
    const { directory, bases } = await someLog();
    const [, base] = bases;
    const other = await someLog();
    cpSync(fileOf(other.directory, base), fileOf(directory, base));
    renameSync(join(directory, 'log.lock'), join(newDirectory(), 'log.lock'));
    const log = await Log.open(directory, { readOnly: true });
    expect(log.tail({ from: base }).read()?.offset).toBe(base);
    expect((await log.verify()).sound).toBe(false);
    await log.close();
  });
});

describe('a segment that a later version wrote', () => {
  const CHANGES: [what: string, fact: 'format' | 'features', offset: number, value: number][] = [
    ['of another format', 'format', L.FORMAT_MAJOR_OFFSET, 2],
    ['with other features', 'features', L.INCOMPATIBLE_OFFSET, 0x40],
  ];

  function change(path: string, offset: number, value: number): void {
    const bytes = readFileSync(path);
    bytes.writeInt32LE(value, offset);
    const head = Buffer.from(bytes.subarray(0, L.STATIC_BYTES));
    head.writeInt32LE(0, L.STATIC_CRC_OFFSET);
    const crc = binding().crc32c(head, 0, head.length, 0);
    const end = L.HEADER_BYTES + L.METADATA_BYTES;
    bytes.writeInt32LE(binding().crc32c(bytes, L.HEADER_BYTES, end, crc), L.STATIC_CRC_OFFSET);
    writeFileSync(path, bytes);
  }

  test.each(CHANGES)(
    '%s, is left as it is by who repairs the log, or opens it',
    async (_, fact, offset, value) => {
      const { directory, bases } = await someLog();
      const last = fileOf(directory, bases[bases.length - 1]);
      change(last, offset, value);
      // Something that would be mended, and something that would be set aside.
      flip(fileOf(directory, bases[0]), L.HEADER_BYTES + L.METADATA_BYTES + 100);
      writeFileSync(join(directory, 'foreign'), '');
      const before = contentsOf(directory);
      const written = readFileSync(last);
      expect(await failure(() => Log.repair(directory))).toMatchObject({
        code: 'ERR_FORMAT',
        path: last,
        [fact]: value,
      });
      expect(contentsOf(directory)).toEqual(before);
      expect(await failure(() => Log.open(directory))).toMatchObject({
        code: 'ERR_FORMAT',
        path: last,
        [fact]: value,
      });
      expect(readFileSync(last).equals(written)).toBe(true);
    },
  );

  test('is told from one of which a bit is wrong: that is repaired', async () => {
    const { directory, bases, next } = await someLog();
    const [, base] = bases;
    flip(fileOf(directory, base), L.FORMAT_MAJOR_OFFSET);
    const { lost, rewritten } = await Log.repair(directory);
    expect({ lost, rewritten }).toEqual({ lost: [], rewritten: [basename(fileOf(directory, base))] });
    const log = await Log.open(directory, { readOnly: true });
    expect(await collect(log.read())).toHaveLength(next);
    await log.close();
  });
});

describe('a lock file that can be none', () => {
  test('because its name leads nowhere, is an error', async () => {
    const directory = newDirectory();
    symlinkSync(join(directory, 'nowhere'), join(directory, 'log.lock'));
    const error: MillraceError = await failure(() => Log.open(directory));
    expect(error.code).toBe('ERR_FORMAT');
    expect(error.message).toContain('leads nowhere');
    appendFileSync(join(directory, 'nowhere'), '');
    expect((await failure(() => Log.open(directory))).code).toBe('ERR_FORMAT');
  });

  test('because its name leads to another directory, is one where that is', async () => {
    const [directory, elsewhere] = [newDirectory(), newDirectory()];
    await (await Log.open(elsewhere)).close();
    symlinkSync(join(elsewhere, 'log.lock'), join(directory, 'log.lock'));
    const log = await Log.open(directory);
    expect((await failure(() => Log.open(elsewhere))).code).toBe('ERR_WRITER_ACTIVE');
    await log.close();
  });
});
