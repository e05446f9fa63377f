import {
  chmodSync,
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Log } from '../../lib/log/index.js';
import { asNobody, isRoot } from '../helpers/nobody.js';
import { newDirectory } from '../helpers/run-directory.js';
import { linesOf, millrace, objectsOf, Running } from './command.js';
import { closedLog, numbered } from './log.js';

const fileOf = (directory: string, base: number) => join(directory, `${String(base).padStart(20, '0')}.mr`);

/** A closed log of several segments, and their bases. */
async function manySegments(): Promise<{ directory: string; bases: number[] }> {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '64KiB', sync: 'none' });
  for (const record of numbered(4000)) log.append(record);
  return { directory, bases: log.segments().map(({ base }) => base) };
}

function overwrite(path: string, at: number, text: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, text, at);
  closeSync(file);
}

describe('log stat', () => {
  test('tells people how far a log is', async () => {
    const directory = newDirectory();
    await using log = await Log.open(directory, { sync: 'none' });
    log.appendBatch(numbered(5));
    await log.flush();
    log.append('one more');
    await log.cursor('billing').set(2);
    const { code, stdout, stderr } = await millrace('log', 'stat', directory);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`${directory}\n`);
    expect(stdout).toMatch(/ {2}earliest +0\n {2}next +6\n {2}durable +5, 1 record behind\n/);
    expect(stdout).toMatch(/ {2}files +1 segment, \d+ KiB \([\d,]+ bytes\)\n/);
    expect(stdout).toMatch(/ {2}writer +alive\n {2}recovery +nothing to be done\n {2}cursors +1\n/);
    expect(stdout).toMatch(/ {2}CURSOR +OFFSET +LAG +GONE\n {2}billing +2 +4 +0\n/);
  });

  test('and machines, in one object', async () => {
    const { directory, bases } = await manySegments();
    const bytes = bases.reduce((sum, base) => sum + statSync(fileOf(directory, base)).blocks * 512, 0);
    const { stdout } = await millrace('log', 'stat', directory, '--json');
    expect(objectsOf(stdout)).toEqual([
      {
        path: directory,
        earliest: 0,
        next: 4000,
        durable: 0,
        segments: bases.length,
        bytes,
        writer: false,
        cursors: [],
      },
    ]);
  });

  test('--watch repeats with rates until it is interrupted', async () => {
    const directory = newDirectory();
    await using log = await Log.open(directory);
    const watching = new Running(['log', 'stat', '--watch', '--json', directory]);
    await watching.until(({ lines }) => lines.length > 0);
    for (let i = 0; i < 1000; i++) log.append('x');
    await watching.until(({ lines }) => lines.length > 1);
    const { code, stdout, stderr } = await watching.end('SIGINT');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [first, second] = objectsOf(stdout);
    expect([first.next, first.rates, second.next]).toEqual([0, undefined, 1000]);
    const { records } = second.rates as { records: number };
    // A second passed, or a little more; never less.
    expect(records).toBeGreaterThan(100);
    expect(records).toBeLessThanOrEqual(1000);
  });

  const recovery = async (directory: string) => {
    const { code, stdout } = await millrace('log', 'stat', directory, '--json');
    const [{ recovery, writer }] = objectsOf(stdout);
    return { code, recovery, writer };
  };

  test('that the machine went down while it was written', async () => {
    const directory = await closedLog(['one']);
    expect(await recovery(directory)).toEqual({ code: 0, recovery: undefined, writer: false });
    const file = openSync(fileOf(directory, 0), 'r+');
    // As if it had been started anew since.
    writeSync(file, Buffer.alloc(16, 1), 0, 16, L.WRITER_BOOT_OFFSET);
    closeSync(file);
    expect(await recovery(directory)).toEqual({ code: 0, recovery: 'machine', writer: false });
    expect((await millrace('log', 'stat', directory)).stdout).toMatch(/ {2}recovery +the machine went down/);
  });

  test('that the last segment is not whole, and then nobody knows where the log ends', async () => {
    const { directory, bases } = await manySegments();
    truncateSync(fileOf(directory, bases.at(-1) as number), 100);
    const { code, stdout } = await millrace('log', 'stat', directory, '--json');
    expect(code).toBe(1);
    expect(objectsOf(stdout)).toMatchObject([
      { earliest: 0, segments: bases.length, recovery: 'header', nextFault: { code: 'ERR_TRUNCATED' } },
    ]);
    expect((await millrace('log', 'stat', directory)).stdout).toMatch(
      / {2}next +can't be told: .+\(ERR_TRUNCATED\)\n/,
    );
  });

  /** A log of several segments with a cursor, and what damages its last segment, or its file of cursors. */
  async function withCursor() {
    const { directory, bases } = await manySegments();
    await millrace('log', 'cursors', directory, 'set', 'billing', '7');
    return {
      directory,
      end: () => truncateSync(fileOf(directory, bases.at(-1) as number), 100),
      cursors: (bytes = 100) => truncateSync(join(directory, 'cursors.mr'), bytes),
    };
  }

  const look = async (directory: string) => {
    const { code, stdout } = await millrace('log', 'stat', directory, '--json');
    const people = await millrace('log', 'stat', directory);
    expect([code, people.code]).toEqual([1, 1]);
    return { found: objectsOf(stdout)[0], text: people.stdout };
  };

  test('where the cursors stand, also where the last segment is damaged', async () => {
    const { directory, end } = await withCursor();
    end();
    const { found, text } = await look(directory);
    expect(found).toMatchObject({ durable: 0, nextFault: { code: 'ERR_TRUNCATED' } });
    expect([found.next, found.cursorsFault]).toEqual([undefined, undefined]);
    expect(found.cursors).toEqual([{ name: 'billing', offset: 7, gone: 0 }]);
    expect(text).toMatch(/ {2}next +can't be told: .+\(ERR_TRUNCATED\)\n {2}durable +0\n/);
    expect(text).toMatch(/ {2}cursors +1\n/);
    expect(text).toMatch(/ {2}billing +7 +- +0\n/);
  });

  test('where the log ends, also where the file of the cursors is damaged', async () => {
    const { directory, cursors } = await withCursor();
    cursors();
    const { found, text } = await look(directory);
    expect(found).toMatchObject({ next: 4000, durable: 0, cursorsFault: { code: 'ERR_TRUNCATED' } });
    expect([found.cursors, found.nextFault, found.durableFault]).toEqual([undefined, undefined, undefined]);
    expect(text).toMatch(/ {2}next +4000\n {2}durable +0, 4000 records behind\n/);
    expect(text).toMatch(/ {2}cursors +can't be told: .+cursors\.mr.+\(ERR_TRUNCATED\)\n/);
  });

  test('why neither is told, where both are damaged', async () => {
    const { directory, end, cursors } = await withCursor();
    end();
    cursors();
    const { found, text } = await look(directory);
    const { message } = found.nextFault as { message: string };
    const { message: ofCursors } = found.cursorsFault as { message: string };
    expect(message).not.toBe(ofCursors);
    expect(text).toContain(`can't be told: ${message} (`);
    expect(text).toContain(`can't be told: ${ofCursors} (`);
  });

  test('a cursor that is damaged is a fault, too', async () => {
    const { directory, cursors } = await withCursor();
    cursors(4096 + 512);
    const { found, text } = await look(directory);
    expect(found.cursors).toEqual([
      { damaged: true, gone: 0 },
      { name: 'billing', offset: 7, lag: 3993, gone: 0 },
    ]);
    expect(text).toMatch(/ {2}\(damaged\) +\(damaged\) +- +0\n/);
  });

  test('--watch ends as the last look found it', async () => {
    const { directory } = await withCursor();
    const path = join(directory, 'cursors.mr');
    const at = readFileSync(path).indexOf('billing', 4096);
    const untilDamaged = async (watching: Running, isDamaged: boolean) => {
      const { length } = watching.lines;
      await watching.until(({ lines }) =>
        lines.slice(length).some((line) => line.includes('"damaged":true') === isDamaged),
      );
    };
    const watching = new Running(['log', 'stat', '--watch', '--json', directory]);
    await untilDamaged(watching, false);
    overwrite(path, at, 'BILLING');
    await untilDamaged(watching, true);
    expect((await watching.end('SIGINT')).code).toBe(1);
    const again = new Running(['log', 'stat', '--watch', '--json', directory]);
    await untilDamaged(again, true);
    overwrite(path, at, 'billing');
    await untilDamaged(again, false);
    expect((await again.end('SIGINT')).code).toBe(0);
  });

  test('where there is no log', async () => {
    const { code, stdout, stderr } = await millrace('log', 'stat', newDirectory());
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_NOT_FOUND\)\n$/);
  });
});

describe('log segments', () => {
  test('lists them for people, and for machines', async () => {
    const { directory, bases } = await manySegments();
    const { code, stdout, stderr } = await millrace('log', 'segments', directory);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [head, ...rows] = linesOf(stdout).map((line) => line.trim().split(/ {2,}/));
    expect(head).toEqual(['BASE', 'RECORDS', 'BYTES', 'STATE', 'CREATED', 'GENERATION']);
    expect(rows.map(([base]) => Number(base))).toEqual(bases);
    expect(rows.map((row) => row[3])).toEqual(
      bases.map((_, i) => (i === bases.length - 1 ? 'open' : 'sealed')),
    );
    expect(rows.map((row) => row[5])).toEqual(bases.map(() => '0'));
    const objects = objectsOf((await millrace('log', 'segments', directory, '--json')).stdout);
    const ends = [...bases.slice(1), 4000];
    expect(objects.map(({ base, records, path }) => ({ base, records, path }))).toEqual(
      bases.map((base, i) => ({ base, records: ends[i] - base, path: fileOf(directory, base) })),
    );
    const now = Date.now() * 1000;
    for (const { created } of objects) expect(Math.abs(Number(created) - now)).toBeLessThan(600_000_000);
  });

  test.each([1, -1])('one that is damaged is a fault, and the others are told: %i', async (index) => {
    const { directory, bases } = await manySegments();
    const damaged = bases.at(index) as number;
    truncateSync(fileOf(directory, damaged), 100);
    const { code, stdout, stderr } = await millrace('log', 'segments', directory, '--json');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_TRUNCATED\)\n$/);
    expect(stderr).toContain(fileOf(directory, damaged));
    const found = objectsOf(stdout);
    expect(found.map(({ base }) => base)).toEqual(bases);
    for (const { base, state, records } of found) {
      expect(state === 'damaged').toBe(base === damaged);
      expect(records !== undefined).toBe(base !== damaged);
    }
  });
});

test.skipIf(!isRoot)('log segments: one that may not be looked at is a fault, and no damage', async () => {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '64KiB', sync: 'none', fileMode: 0o644 });
  for (const record of numbered(4000)) log.append(record);
  const [first, hidden, ...rest] = log.segments();
  for (const path of [directory, dirname(directory)]) chmodSync(path, 0o755);
  chmodSync(hidden.path, 0o600);
  const command = JSON.stringify([
    `${import.meta.dirname}/../../dist/cli/main.js`,
    'log',
    'segments',
    directory,
  ]);
  const { status, stdout, stderr } = asNobody(`
    const { spawnSync } = await import('node:child_process');
    return spawnSync(process.execPath, [...${command}, '--json'], { encoding: 'utf8' });
  `);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_PERMISSION\)\n$/);
  const found = objectsOf(stdout).map(({ base, state }) => [base, state]);
  expect(found.slice(0, 2)).toEqual([
    [first.base, 'sealed'],
    [hidden.base, undefined],
  ]);
  expect(found).toHaveLength(2 + rest.length);
});

describe('log cursors', () => {
  const cursors = (directory: string, ...args: string[]) => millrace('log', 'cursors', directory, ...args);

  test('are set, listed and deleted beside a live writer', async () => {
    const directory = newDirectory();
    await using log = await Log.open(directory);
    log.appendBatch(numbered(10));
    expect(await cursors(directory)).toEqual({ code: 0, stdout: 'CURSOR  OFFSET  LAG  GONE\n', stderr: '' });
    expect(await cursors(directory, 'set', 'b', '4')).toEqual({
      code: 0,
      stdout: 'b is set to 4\n',
      stderr: '',
    });
    expect((await cursors(directory, 'set', 'a', 'latest', '--json')).stdout).toBe(
      '{"name":"a","offset":10}\n',
    );
    expect((await cursors(directory)).stdout).toBe(
      'CURSOR  OFFSET  LAG  GONE\na           10    0     0\nb            4    6     0\n',
    );
    expect(log.cursor('b').get()).toBe(4);
    expect((await cursors(directory, 'set', 'b', 'earliest', '--force')).code).toBe(0);
    expect(objectsOf((await cursors(directory, '--json')).stdout)).toEqual([
      { name: 'a', offset: 10, lag: 0, gone: 0 },
      { name: 'b', offset: 0, lag: 10, gone: 0 },
    ]);
    expect(await cursors(directory, 'delete', 'a')).toEqual({
      code: 0,
      stdout: 'a is deleted\n',
      stderr: '',
    });
    expect(await cursors(directory, 'delete', 'a')).toMatchObject({ code: 1, stdout: '' });
    expect((await cursors(directory, 'delete', 'a', '--json')).stdout).toBe('{"name":"a","deleted":false}\n');
    expect(log.cursors().map(({ name }) => name)).toEqual(['b']);
  });

  test('one that would go back stays', async () => {
    const directory = await closedLog(numbered(10));
    await cursors(directory, 'set', 'a', '5');
    expect(await cursors(directory, 'set', 'a', '4')).toEqual({
      code: 1,
      stdout: '',
      stderr: "millrace: the cursor 'a' stands at 5; only --force sets it back to 4\n",
    });
    expect(objectsOf((await cursors(directory, '--json')).stdout)).toMatchObject([{ offset: 5 }]);
  });

  test('a place that the log does not have', async () => {
    const directory = await closedLog(numbered(10));
    const { code, stderr } = await cursors(directory, 'set', 'a', '11');
    expect(code).toBe(1);
    expect(stderr).toContain('(ERR_OFFSET_OUT_OF_RANGE)');
    expect((await cursors(directory)).stdout).toBe('CURSOR  OFFSET  LAG  GONE\n');
  });

  test('how much is gone that one was to read', async () => {
    const { directory, bases } = await manySegments();
    await cursors(directory, 'set', 'slow', '10');
    rmSync(fileOf(directory, 0));
    expect(objectsOf((await cursors(directory, '--json')).stdout)).toEqual([
      { name: 'slow', offset: 10, lag: 3990, gone: bases[1] - 10 },
    ]);
  });

  test('are listed without a lag where nobody can tell where the log ends', async () => {
    const { directory, bases } = await manySegments();
    await cursors(directory, 'set', 'a', '5');
    truncateSync(fileOf(directory, bases.at(-1) as number), 100);
    const { code, stdout, stderr } = await cursors(directory, '--json');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_TRUNCATED\)\n$/);
    expect(objectsOf(stdout)).toEqual([{ name: 'a', offset: 5, gone: 0 }]);
    expect((await cursors(directory)).stdout).toBe('CURSOR  OFFSET  LAG  GONE\na            5    -     0\n');
  });

  test('one that is damaged is a fault', async () => {
    const directory = await closedLog(['one']);
    await cursors(directory, 'set', 'a', '1');
    const path = join(directory, 'cursors.mr');
    const bytes = readFileSync(path);
    const file = openSync(path, 'r+');
    // All that there is of it but its name.
    const at = bytes.indexOf('a', 4096) + 220;
    writeSync(file, Buffer.alloc(4096 + 512 - at, 7), 0, 4096 + 512 - at, at);
    closeSync(file);
    const { code, stdout } = await cursors(directory, '--json');
    expect(code).toBe(1);
    expect(objectsOf(stdout)).toMatchObject([{ gone: 0 }]);
    expect(objectsOf(stdout)[0].offset).toBeUndefined();
    expect((await cursors(directory)).stdout).toContain('(damaged)');
  });

  test.each([0, 4, 8, 208])(
    'so is one of which all can be told, with a wrong bit at %s of its slot',
    async (at) => {
      const directory = await closedLog(['one']);
      await cursors(directory, 'set', 'abc', '1');
      const path = join(directory, 'cursors.mr');
      const bytes = readFileSync(path);
      bytes[4096 + at] ^= 4;
      writeFileSync(path, bytes);
      expect(await cursors(directory)).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/^abc \(damaged\) +1 +0 +0$/m),
      });
      expect(objectsOf((await cursors(directory, '--json')).stdout)).toEqual([
        { name: 'abc', offset: 1, lag: 0, damaged: true, gone: 0 },
      ]);
      expect((await millrace('log', 'stat', directory)).code).toBe(1);
    },
  );
});

test('a segment that was compacted tells its generation, and no count that may be wrong', async () => {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '64KiB', compaction: { minDeadRatio: 0 } });
  for (let i = 0; i < 3000; i++) log.append({ key: String(i % 10), value: 'x'.repeat(20) });
  await log.compact();
  const [first] = objectsOf((await millrace('log', 'segments', directory, '--json')).stdout);
  expect(first).toMatchObject({ base: 0, generation: 1, state: 'sealed' });
  expect(first.records).toBeUndefined();
});
