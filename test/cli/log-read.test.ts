import {
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { progressText } from '../../lib/cli/progress.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { fileOf, flip } from '../log/damaging.js';
import { fed, linesOf, millrace, objectsOf, onTerminal, piped, Running, shell } from './command.js';
import { closedLog, numbered, recordsOf } from './log.js';

const AT = 1_700_000_000_000;
/** A record a second. */
const timed = (count: number) => numbered(count).map((value, i) => ({ value, timestamp: AT + i * 1000 }));

const read = (directory: string, ...args: string[]) => millrace('log', 'read', directory, ...args);
const values = async (directory: string, ...args: string[]) =>
  linesOf((await read(directory, '--values', ...args)).stdout);

const RICH = [
  { value: 'plain\n\u001b[2J', timestamp: { us: AT * 1000 + 5 } },
  { key: 'k', value: Buffer.from([0xff, 0]), headers: { a: '1', b: Buffer.from([0xfe]) }, timestamp: AT },
  { key: 'k', value: null, timestamp: AT, ttlMs: 3_155_760_000_000 },
];

describe('a record', () => {
  test('is a line with all there is to know of it', async () => {
    const { code, stdout, stderr } = await read(await closedLog(RICH));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(linesOf(stdout)).toEqual([
      '0  2023-11-14T22:13:20.000005Z  -  plain\\n\\u001b[2J',
      '1  2023-11-14T22:13:20.000000Z  k  [a=1, b=fe]  ff00',
      '2  2023-11-14T22:13:20.000000Z  k  (gone)',
    ]);
  });

  test('is an object', async () => {
    const directory = await closedLog(RICH);
    expect(objectsOf((await read(directory, '--json')).stdout)).toEqual([
      { offset: 0, timestamp: AT * 1000 + 5, value: 'plain\n\u001b[2J' },
      {
        offset: 1,
        timestamp: AT * 1000,
        key: 'k',
        value: { base64: '/wA=' },
        headers: [
          ['a', '1'],
          ['b', { base64: '/g==' }],
        ],
      },
      {
        offset: 2,
        timestamp: AT * 1000,
        key: 'k',
        value: null,
        expiresAt: AT * 1000 + 3_155_760_000_000_000,
      },
    ]);
    const [hex] = objectsOf((await read(directory, '--json', '--hex', '--from', '1')).stdout);
    expect(hex).toMatchObject({ key: { hex: '6b' }, value: { hex: 'ff00' } });
  });

  test('is its value alone: as it is, or in a frame', async () => {
    const directory = await closedLog(RICH);
    const bytes = async (...args: string[]) =>
      (await piped(['log', 'read', directory, ...args], 'od -An -v -tx1')).stdout.replaceAll(/\s/g, '');
    const plain = Buffer.from('plain\n\u001b[2J').toString('hex');
    expect(await bytes('--values')).toBe(`${plain}0aff000a0a`);
    expect(await bytes('--frames')).toBe(`0a000000${plain}02000000ff0000000000`);
    expect(await values(directory, '--base64', '--from', '1')).toEqual(['/wA=', '']);
  });

  test('that was read can be appended elsewhere', async () => {
    const [from, byFrames, byObjects] = [await closedLog(RICH), newDirectory(), newDirectory()];
    const { stdout } = await read(from, '--json');
    const input = objectsOf(stdout).map(({ key, value, headers, timestamp, expiresAt }) => {
      const ttlMs = expiresAt === undefined ? null : (Number(expiresAt) - Number(timestamp)) / 1000;
      return JSON.stringify({ key, value, headers, timestamp: { us: timestamp }, ttlMs });
    });
    await fed(input.join('\n'), 'log', 'append', byObjects, '--json');
    const expected = await recordsOf(from);
    expect(await recordsOf(byObjects)).toEqual(expected);
    await piped(
      ['log', 'read', from, '--frames'],
      `${process.execPath} dist/cli/main.js log append --frames ${byFrames}`,
    );
    expect((await recordsOf(byFrames)).map(({ value }) => value)).toEqual(expected.map(({ value }) => value));
  });
});

describe('which records', () => {
  test('from any place, forwards and backwards, as many as asked for', async () => {
    const directory = await closedLog(timed(3000));
    const all = numbered(3000);
    expect(await values(directory)).toEqual(all);
    expect(await values(directory, '--from', 'earliest')).toEqual(all);
    expect(await values(directory, '--from', 'latest')).toEqual([]);
    expect(await values(directory, '--from', '2998')).toEqual(all.slice(2998));
    expect(await values(directory, '--from', `@${AT + 2_998_000}`)).toEqual(all.slice(2998));
    expect(await values(directory, '--from', '2023-11-14T23:03:17.5Z')).toEqual(all.slice(2998));
    expect(await values(directory, '--from', '2023-11-15')).toEqual([]);
    expect(await values(directory, '--limit', '2')).toEqual(all.slice(0, 2));
    expect(await values(directory, '--max-bytes', '25')).toEqual(all.slice(0, 3));
    expect(await values(directory, '--max-bytes', '1')).toEqual(all.slice(0, 1));
    expect(await values(directory, '--reverse')).toEqual(all.toReversed());
    expect(await values(directory, '--reverse', '--limit', '2')).toEqual(['record 2999', 'record 2998']);
    expect(await values(directory, '--reverse', '--from', '1')).toEqual(['record 1', 'record 0']);
  });

  test('a place that there is not', async () => {
    const { code, stdout, stderr } = await read(await closedLog(['one']), '--from', '2');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_OFFSET_OUT_OF_RANGE\)\n$/);
  });

  test('--durable: only what is on the disk', async () => {
    const directory = newDirectory();
    await using log = await Log.open(directory, { sync: 'none' });
    log.appendBatch(['one', 'two']);
    await log.flush();
    log.append('three');
    expect(await values(directory, '--durable')).toEqual(['one', 'two']);
    expect(await values(directory)).toEqual(['one', 'two', 'three']);
  });
});

describe('--follow', () => {
  test('goes on with what is appended, by whatever writer, until it is interrupted', async () => {
    const directory = await closedLog(['old']);
    const following = new Running(['log', 'read', directory, '--follow', '--from', 'earliest', '--values']);
    await following.until(({ lines }) => lines.length === 1);
    for (const value of ['one', 'two']) {
      await using log = await Log.open(directory);
      log.append(value);
    }
    await following.until(({ lines }) => lines.length === 3);
    expect(await following.end('SIGINT')).toEqual({ code: 0, stdout: 'old\none\ntwo\n', stderr: '' });
  });

  test('begins with what comes, and ends by itself where that is enough', async () => {
    const directory = await closedLog(['old']);
    await using log = await Log.open(directory);
    const following = new Running(['log', 'read', directory, '--follow', '--limit', '3', '--values']);
    // When it looks for the end, nobody can tell.
    const writing = setInterval(() => log.append('new'), 5);
    const outcome = await following.end();
    clearInterval(writing);
    expect(outcome).toEqual({ code: 0, stdout: 'new\nnew\nnew\n', stderr: '' });
  });

  test('ends quietly when nobody reads any more', async () => {
    const directory = await closedLog(numbered(5));
    await using log = await Log.open(directory);
    const writing = setInterval(() => log.append('new'), 5);
    const outcome = await piped(
      ['log', 'read', directory, '--follow', '--from', '3', '--values'],
      'head -n 3',
    );
    clearInterval(writing);
    expect(outcome).toMatchObject({ code: 0, stdout: 'record 3\nrecord 4\nnew\n', stderr: '' });
  });
});

describe('--cursor', () => {
  test('begins where the cursor stands, and moves it behind what was printed; also beside a live writer', async () => {
    const directory = newDirectory();
    await using log = await Log.open(directory);
    log.appendBatch(numbered(10));
    const take = (...args: string[]) => values(directory, '--cursor', 'mine', ...args);
    expect(await take('--limit', '3')).toEqual(numbered(3));
    expect(log.cursor('mine').get()).toBe(3);
    expect(await take('--limit', '3')).toEqual(numbered(6).slice(3));
    expect(await take()).toEqual(numbered(10).slice(6));
    expect(await take()).toEqual([]);
    expect(log.cursor('mine').get()).toBe(10);
    log.append('more');
    expect(await take()).toEqual(['more']);
    expect(await values(directory, '--limit', '1')).toEqual(['record 0']);
  });

  test('of a wrong name is wrong use, as with every verb', async () => {
    const directory = await closedLog(['one']);
    for (const [verb, ...args] of [
      ['read', '--cursor', 'a/b'],
      ['cursors', 'set', 'a/b', '1'],
      ['cursors', 'delete', 'a/b'],
    ]) {
      const { code, stdout, stderr } = await millrace('log', verb, directory, ...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^millrace: log [^\n]+'a\/b' - see: millrace help log [^\n]+\n$/);
    }
  });

  test('what was printed when it was interrupted is not printed again', async () => {
    const directory = await closedLog(['one', 'two']);
    const following = new Running(['log', 'read', directory, '--follow', '--cursor', 'mine', '--values']);
    await following.until(({ lines }) => lines.length === 2);
    expect(await following.end('SIGINT')).toMatchObject({ code: 0, stderr: '' });
    expect(await values(directory, '--cursor', 'mine')).toEqual([]);
  });

  test('does not go past what could not be written', async () => {
    const directory = await closedLog(numbered(20_000));
    // Made here: as long as the file of cursors is being made, there is nothing to move.
    await using making = await Log.open(directory, { readOnly: 'records' });
    await making.cursor('mine').set(0);
    const file = join(newDirectory(), 'out');
    const read = ['log', 'read', directory, '--cursor', 'mine', '--values'];
    // No file may grow beyond 100 kB.
    const { code, stderr } = await shell('ulimit -f 200; exec "$@" > "$0"', file, read);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'millrace: EFBIG: file too large, write (EFBIG)\n' });
    const written = readFileSync(file, 'utf8');
    expect(written.length).toBeGreaterThan(90_000);
    await using log = await Log.open(directory, { readOnly: true });
    const stands = log.cursor('mine').get() as number;
    expect(stands).toBeGreaterThan(3000);
    expect(linesOf(written).length).toBeGreaterThanOrEqual(stands);
    const rest = await values(directory, '--cursor', 'mine');
    expect(rest).toEqual(numbered(20_000).slice(stands));
  });
});

describe('damage', () => {
  /** Changes a byte of the record that has this value: the first one of that, or one so far from it. */
  function damage(directory: string, value: string, distance = 0): void {
    const path = join(directory, '00000000000000000000.mr');
    const at = readFileSync(path).indexOf(value) + distance;
    expect(at).toBeGreaterThan(0);
    const file = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, at);
    byte[0] ^= 1;
    writeSync(file, byte, 0, 1, at);
    closeSync(file);
  }

  /** On a disk, where checksums are checked. */
  async function damagedLog() {
    const directory = await closedLog(['zero', 'one', 'broken', 'three', 'four']);
    damage(directory, 'broken');
    return directory;
  }

  test('is said in its place, what follows is read, and the exit code is 1', async () => {
    const directory = await damagedLog();
    const { code, stdout, stderr } = await read(directory, '--json');
    expect(code).toBe(1);
    expect(stderr).toBe(`millrace: ${directory} is damaged from record 2 on; goes on at 3 (ERR_CORRUPT)\n`);
    expect(objectsOf(stdout)).toMatchObject([
      { value: 'zero' },
      { value: 'one' },
      { gap: { code: 'ERR_CORRUPT', from: 2, next: 3 } },
      { value: 'three' },
      { value: 'four' },
    ]);
    const lines = linesOf((await read(directory, '--limit', '3')).stdout);
    expect(lines).toHaveLength(4);
    expect(lines[2]).toBe('--- damaged from record 2 on; goes on at 3');
    expect(await values(directory, '--limit', '3')).toEqual(['zero', 'one', 'three']);
  });

  test('makes no room for more bytes than were asked for', async () => {
    const directory = await damagedLog();
    expect(await values(directory, '--max-bytes', '12')).toEqual(['zero', 'one', 'three']);
    expect(await values(directory, '--max-bytes', '11')).toEqual(['zero', 'one']);
    expect((await read(directory, '--max-bytes', '11')).code).toBe(1);
    expect(await values(directory, '--max-bytes', '1', '--from', '2')).toEqual(['three']);
  });

  test('is said in its place backwards, too, and what is before it is read', async () => {
    const directory = await damagedLog();
    const { code, stdout, stderr } = await read(directory, '--json', '--reverse');
    expect(code).toBe(1);
    expect(stderr).toBe(`millrace: ${directory} is damaged from record 2 back; goes on at 1 (ERR_CORRUPT)\n`);
    expect(objectsOf(stdout)).toMatchObject([
      { value: 'four' },
      { value: 'three' },
      { gap: { code: 'ERR_CORRUPT', from: 2, next: 1 } },
      { value: 'one' },
      { value: 'zero' },
    ]);
  });

  test('at the end of the log has its line, too', async () => {
    const directory = await closedLog(['zero', 'one', 'broken']);
    damage(directory, 'broken', -L.FRAME_HEADER_EXTENDED + L.FRAME_KIND_OFFSET);
    const forwards = await read(directory);
    expect(forwards.code).toBe(1);
    expect(forwards.stderr).toMatch(/is damaged at position \d+/);
    expect(linesOf(forwards.stdout).slice(1)).toEqual([
      expect.stringMatching(/^1 .* one$/),
      '--- damaged from record 2 on',
    ]);
    const back = await read(directory, '--reverse');
    expect(back.code).toBe(1);
    expect(linesOf(back.stdout)).toEqual([
      '--- damaged at the end; goes on at 1',
      expect.stringMatching(/^1 .* one$/),
      expect.stringMatching(/^0 .* zero$/),
    ]);
  });

  test('ends reading with a cursor, which stands before it', async () => {
    const directory = await damagedLog();
    for (const expected of [['zero', 'one'], []]) {
      const { code, stdout, stderr } = await read(directory, '--cursor', 'mine', '--values');
      expect({ code, lines: linesOf(stdout) }).toEqual({ code: 1, lines: expected });
      expect(stderr).toMatch(/\(ERR_CORRUPT\)\n$/);
    }
    expect((await millrace('log', 'cursors', directory, 'set', 'mine', '3')).code).toBe(0);
    expect(await values(directory, '--cursor', 'mine')).toEqual(['three', 'four']);
  });

  /** Of several segments. */
  async function longLog(count = 4000): Promise<{ directory: string; bases: number[] }> {
    const directory = newDirectory();
    await using log = await Log.open(directory, { segment: '64KiB', sync: 'none' });
    for (const record of numbered(count)) log.append(record);
    return { directory, bases: log.segments().map(({ base }) => base) };
  }

  test('a missing segment', async () => {
    const { directory, bases } = await longLog();
    rmSync(fileOf(directory, bases[1]));
    const { code, stdout, stderr } = await read(directory, '--values');
    expect(code).toBe(1);
    expect(stderr).toContain(`is damaged from record ${bases[1]} on; goes on at ${bases[2]} (ERR_GAP)`);
    expect(linesOf(stdout)).toEqual([...numbered(bases[1]), ...numbered(4000).slice(bases[2])]);
  });

  type Spoil = (directory: string, bases: number[]) => void;
  const SPOILT: [what: string, spoil: Spoil][] = [
    ['whose header is damaged', (directory, bases) => flip(fileOf(directory, bases[1]), 40)],
    ['that was cut short', (directory, bases) => truncateSync(fileOf(directory, bases[1]), 100)],
    [
      "that stands in another one's place",
      (directory, bases) => cpSync(fileOf(directory, bases[2]), fileOf(directory, bases[1])),
    ],
  ];

  test.each([
    [[0], 1],
    [[1, 2], 3],
  ])('segments %j whose headers are damaged: what follows is read', async (spoilt, following) => {
    const { directory, bases } = await longLog(20_000);
    for (const i of spoilt) flip(fileOf(directory, bases[i]), 40);
    const { code, stdout } = await read(directory, '--values');
    expect(code).toBe(1);
    const all = numbered(20_000);
    expect(linesOf(stdout)).toEqual([...all.slice(0, bases[spoilt[0]]), ...all.slice(bases[following])]);
    const from = await read(directory, '--values', '--from', String(bases[spoilt[0]] + 1));
    expect(from.code).toBe(1);
    expect(linesOf(from.stdout)).toEqual(all.slice(bases[following]));
  });

  test.each(SPOILT)('a segment %s: what follows is read', async (_, spoil) => {
    const { directory, bases } = await longLog();
    spoil(directory, bases);
    const { code, stdout, stderr } = await read(directory, '--values');
    expect(code).toBe(1);
    expect(stderr).toContain(`is damaged from record ${bases[1]} on; goes on at ${bases[2]} (ERR_`);
    expect(linesOf(stdout)).toEqual([...numbered(bases[1]), ...numbered(4000).slice(bases[2])]);
  });

  test('a last segment that was cut off: what is before it is read', async () => {
    const { directory, bases } = await longLog();
    const last = bases.at(-1) as number;
    truncateSync(fileOf(directory, last), 5000);
    const { code, stdout, stderr } = await read(directory, '--values');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_TRUNCATED\)\n$/);
    expect(linesOf(stdout)).toEqual(numbered(last));
    const followed = await read(directory, '--values', '--follow', '--from', String(last - 5));
    expect(followed).toMatchObject({
      code: 1,
      stdout: numbered(last)
        .slice(-5)
        .map((line) => `${line}\n`)
        .join(''),
    });
  });
});

describe('how far it is', () => {
  test('is shown on a terminal, and away in the end', async () => {
    const directory = await closedLog(numbered(100_000));
    const file = join(newDirectory(), 'out');
    const shown = await onTerminal(['log', 'read', directory, '--values'], file);
    expect(shown).toMatch(/\d+ %/);
    expect(shown.endsWith('\r\u001b[K')).toBe(true);
    expect(linesOf(readFileSync(file, 'utf8'))).toEqual(numbered(100_000));
  });

  test('is cut to the width of the terminal, so that all of it is written over', async () => {
    const directory = join(newDirectory(), 'x'.repeat(100));
    await closedLog(numbered(100_000), directory);
    const shown = await onTerminal(['log', 'read', directory], join(newDirectory(), 'out'), 24, 40);
    const lines = shown.split('\r\u001b[K');
    expect(lines[1]).toMatch(/^….*(?:\d %|left)$/);
    expect(Math.max(...lines.map(({ length }) => length))).toBe(39);
  });

  test('and how long it takes still', () => {
    expect(progressText(0, 100, 5000)).toBe('0 %');
    expect(progressText(25, 100, 500)).toBe('25 %');
    expect(progressText(25, 100, 5000)).toBe('25 %, about 15 s left');
    expect(progressText(1, 1000, 5000)).toBe('0 %, about 1 hour left');
    expect(progressText(100, 100, 5000)).toBe('100 %');
    expect(progressText(0, 0, 5000)).toBe('100 %');
  });
});
