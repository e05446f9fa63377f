import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { inspect, Writer, type WriterOptions } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';
import { linesOf, millrace, objectsOf } from './command.js';

async function closedChannel(records: (string | Uint8Array)[], options: WriterOptions = {}) {
  const path = newPath();
  const writer = await Writer.create(path, { mode: 'linear', capacity: '256KiB', ...options });
  const positions = records.map((record, i) => writer.write(record, i & 7));
  writer.close();
  return { path, positions };
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `record ${i}`);

function overwrite(path: string, position: number, bytes: Buffer): void {
  const { fileBytes, capacity } = inspect(path);
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, fileBytes - capacity + position);
  closeSync(file);
}

describe('records', () => {
  test('a line each, with all there is to know of them', async () => {
    const { path, positions } = await closedChannel(['one\n\u001b[2J', Buffer.from([0xff, 0x00]), '']);
    const { code, stdout, stderr } = await millrace('dump', path);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [head, ...rows] = linesOf(stdout).map((line) => line.trim().split(/ {2,}/));
    expect(head).toEqual(['POSITION', 'RECORD', 'TYPE', 'SIZE', 'PAYLOAD']);
    expect(rows).toEqual([
      [String(positions[0]), '0', '0', '8', 'one\\n\\u001b[2J'],
      [String(positions[1]), '1', '1', '2', 'ff00'],
      [String(positions[2]), '2', '2', '0'],
    ]);
  });

  test('bytes with a NUL are no text to people, though they are UTF-8; to programs they are', async () => {
    const struct = Buffer.alloc(8);
    struct.writeInt32LE(65, 4);
    const { path } = await closedChannel([struct]);
    const [, row] = linesOf((await millrace('dump', path)).stdout);
    expect(row.trim().split(/ {2,}/).at(-1)).toBe('0000000041000000');
    const [, asText] = linesOf((await millrace('dump', path, '--text')).stdout);
    expect(asText).toContain('\\u0000A\\u0000');
    expect(objectsOf((await millrace('dump', path, '--json')).stdout)).toMatchObject([
      { text: '\0\0\0\0A\0\0\0' },
    ]);
  });

  test('times and tags, where the channel has them', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { mode: 'linear', capacity: '64KiB', timestamps: true });
    writer.write('x', { timestamp: { us: 1_700_000_000_123_456 }, tag: 42 });
    writer.write('y', { timestamp: { us: 1_700_000_001_000_000 } });
    writer.close();
    const { stdout } = await millrace('dump', path);
    expect(stdout).toContain('2023-11-14T22:13:20.123456Z     42');
    expect(objectsOf((await millrace('dump', path, '--json', '--limit', '1')).stdout)).toEqual([
      { position: 0, record: 0, type: 0, timestamp: 1_700_000_000_123_456, tag: 42, size: 1, text: 'x' },
    ]);
    const later = await millrace('dump', path, '--json', '--from', 'time:2023-11-14T22:13:20.5Z');
    expect(objectsOf(later.stdout)).toMatchObject([{ text: 'y' }]);
    for (const [from, texts] of [
      ['2023-11-14', ['x', 'y']],
      ['2023-11-14T22:13:20.5Z', ['y']],
      ['@1700000000500', ['y']],
      ['time:@1700000000500', ['y']],
      ['2023-11-15', []],
    ] as const) {
      const { stdout } = await millrace('dump', path, '--json', '--from', from);
      expect(objectsOf(stdout).map(({ text }) => text)).toEqual(texts);
    }
  });

  test('from any place, forwards and backwards, as many as asked for', async () => {
    const { path, positions } = await closedChannel(numbered(3000));
    const texts = async (...args: string[]) =>
      objectsOf((await millrace('dump', path, '--json', ...args)).stdout).map(({ text }) => text);
    expect(await texts()).toEqual(numbered(3000));
    expect(await texts('--reverse')).toEqual(numbered(3000).reverse());
    expect(await texts('--limit', '2')).toEqual(['record 0', 'record 1']);
    expect(await texts('--from', 'record:2999')).toEqual(['record 2999']);
    expect(await texts('--from', String(positions[2998]))).toEqual(['record 2998', 'record 2999']);
    expect(await texts('--from', 'latest')).toEqual([]);
    expect(await texts('--reverse', '--limit', '2')).toEqual(['record 2999', 'record 2998']);
    expect(await texts('--reverse', '--from', 'record:2')).toEqual(['record 1', 'record 0']);
  });

  test('from no place that there is not, and nothing is printed', async () => {
    const { path } = await closedChannel(['a', 'b']);
    for (const [place, what] of [
      ['8', `No record of ${path} starts at position 8`],
      ['4096', `${path} ends at position 64, before 4096`],
      ['record:99', `The next record of ${path} is 2; there is no record 99 yet`],
      ['@5', `${path} was made without timestamps; seek by position or record`],
    ]) {
      for (const options of [[], ['--json']]) {
        expect(await millrace('dump', path, ...options, '--from', place)).toEqual({
          code: 1,
          stdout: '',
          stderr: `millrace: ${what} (ERR_INVALID_ARGUMENT)\n`,
        });
      }
    }
  });

  test('payloads in the encoding asked for; beginnings only, unless in full', async () => {
    const long = 'é'.repeat(500);
    const { path } = await closedChannel([long]);
    const shown = async (...args: string[]) =>
      (await millrace('dump', path, ...args)).stdout.trim().split('  ').at(-1);
    expect(await shown()).toBe(`${'é'.repeat(63)}…`);
    expect(await shown('--full')).toBe(long);
    expect(await shown('--hex', '--full')).toBe('c3a9'.repeat(500));
    expect(await shown('--hex')).toHaveLength(64);
    const [object] = objectsOf((await millrace('dump', path, '--base64', '--json')).stdout);
    expect(object.base64).toBe(Buffer.from(long).toString('base64'));
    expect(objectsOf((await millrace('dump', path, '--json')).stdout)[0].text).toBe(long);
    const pairs = await closedChannel(['😀'.repeat(100), `a${'😀'.repeat(100)}`]);
    const rows = linesOf((await millrace('dump', pairs.path)).stdout).slice(1);
    expect(rows.map((row) => row.split('  ').at(-1))).toEqual([
      `${'😀'.repeat(31)}…`,
      `a${'😀'.repeat(31)}…`,
    ]);
  });

  test('of a ring that wraps under a live writer, those that still stand', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '64KiB' });
    for (let i = 0; i < 5000; i++) writer.write(`record ${i}`);
    const { code, stdout } = await millrace('dump', path, '--json');
    const records = objectsOf(stdout);
    expect(code).toBe(0);
    expect(records.length).toBeGreaterThan(1500);
    expect(records.map(({ text }) => text)).toEqual(numbered(5000).slice(-records.length));
  });
});

describe('faults', () => {
  test('damage is shown in its place, what follows is read, and the exit code is 1', async () => {
    const { path, positions } = await closedChannel(numbered(5000));
    overwrite(path, positions[1700], Buffer.from([0xff, 0xff, 0xff, 0xff]));
    const { code, stdout, stderr } = await millrace('dump', path, '--json');
    expect(code).toBe(1);
    expect(stderr).toBe(
      `millrace: ${path} is damaged at position ${positions[1700]}; goes on at ${positions[1701]} (ERR_CORRUPT)\n`,
    );
    const seen = objectsOf(stdout);
    expect(seen[1700]).toEqual({
      gap: { code: 'ERR_CORRUPT', position: positions[1700], next: positions[1701] },
    });
    expect(seen.toSpliced(1700, 1).map(({ text }) => text)).toEqual(numbered(5000).toSpliced(1700, 1));
    const reversed = await millrace('dump', path, '--json', '--reverse');
    expect(reversed.code).toBe(1);
    expect(objectsOf(reversed.stdout)).toEqual(seen.toReversed());
    const people = await millrace('dump', path, '--from', 'record:1699', '--limit', '2');
    expect(people.code).toBe(1);
    expect(linesOf(people.stdout)[2]).toContain(`damaged at position ${positions[1700]}`);
    expect(linesOf(people.stdout)[3]).toContain('record 1701');
  });

  test('a record that was erased is damage, also where it was the last one', async () => {
    const { path, positions } = await closedChannel(numbered(10));
    overwrite(path, positions[9], Buffer.alloc(4));
    const { code, stdout, stderr } = await millrace('dump', path);
    expect(code).toBe(1);
    expect(linesOf(stdout)).toHaveLength(11);
    expect(linesOf(stdout)[10]).toContain(`damaged at position ${positions[9]}`);
    expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_CORRUPT\)\n$/);
  });

  test('a file that was cut off is told so', async () => {
    const { path } = await closedChannel(numbered(10));
    truncateSync(path, 100_000);
    expect(await millrace('dump', path)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^millrace: [^\n]+\(ERR_TRUNCATED\)\n$/),
    });
  });
});
