import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { declareAbandoned, inspect, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { flip } from '../log/damaging.js';
import { dieAfter, fed, linesOf, millrace, objectsOf, Running } from './command.js';
import { closedLog, numbered, recordsOf, valuesOf } from './log.js';
import { headersOf, variedChannel } from './recording.js';

/** Until what another process records has come that far. */
async function untilRecorded(directory: string, least: number): Promise<void> {
  while (!existsSync(join(directory, 'log.lock'))) await turn();
  await using log = await Log.open(directory, { readOnly: true });
  while (log.next < least) await turn();
}

async function ringOf(records: readonly string[], path = newPath()): Promise<string> {
  using writer = await Writer.create(path, { capacity: '64KiB', replace: true });
  for (const record of records) writer.write(record);
  return path;
}

describe('each record', () => {
  test('with its bytes and time; type and tag are headers where they are not 0', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { timestamps: true });
    writer.write('plain', { timestamp: { us: 1_700_000_000_000_001 } });
    writer.write(Buffer.from([0xff, 0]), { type: 65_535, timestamp: { us: 1_700_000_000_000_002 } });
    writer.write('', { tag: Number.MAX_SAFE_INTEGER, timestamp: { us: 1_700_000_000_000_003 } });
    writer.close();
    const before = readFileSync(path);
    const directory = join(newDirectory(), 'made');
    expect(await millrace('record', path, directory)).toEqual({
      code: 0,
      stdout: 'recorded 3 records: offsets 0 to 2\n',
      stderr: `millrace: ${path} is closed: this was its last record\n`,
    });
    const [plain, typed, tagged] = await recordsOf(directory);
    expect(plain).toEqual({ offset: 0, timestamp: 1_700_000_000_000_001, value: Buffer.from('plain') });
    expect(typed).toMatchObject({
      timestamp: 1_700_000_000_000_002,
      value: Buffer.from([0xff, 0]),
      headers: [['millrace.type', Buffer.from('65535')]],
    });
    expect(tagged).toMatchObject({ timestamp: 1_700_000_000_000_003, value: Buffer.alloc(0) });
    expect(tagged.headers?.[0]).toEqual(['millrace.tag', Buffer.from(String(Number.MAX_SAFE_INTEGER))]);
    // Unseen by whoever else uses the channel.
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('with the time at which it was recorded, where the channel has none', async () => {
    const path = await ringOf(['one']);
    const directory = newDirectory();
    const before = Date.now() * 1000;
    await millrace('record', path, directory);
    const [{ timestamp }] = await recordsOf(directory);
    expect(timestamp).toBeGreaterThanOrEqual(before);
    expect(timestamp).toBeLessThanOrEqual((Date.now() + 1) * 1000);
  });

  test('as it comes, until Ctrl-C', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const directory = newDirectory();
    const recording = new Running(['record', path, directory, '--json']);
    await untilRecorded(directory, 1);
    writer.write('record 1');
    await untilRecorded(directory, 2);
    expect(writer.readers()).toEqual([]);
    const { code, stdout, stderr } = await recording.end('SIGINT');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(objectsOf(stdout)).toEqual([{ recorded: 2, lost: 0, first: 0, last: 1 }]);
    expect(await valuesOf(directory)).toEqual(numbered(2));
  });

  test('from a place on, and no more than so many', async () => {
    const path = await variedChannel(100);
    const directory = newDirectory();
    const { stdout } = await millrace('record', path, directory, '--from', 'record:50', '--limit', '10');
    expect(stdout).toBe('recorded 10 records: offsets 0 to 9\n');
    expect((await valuesOf(directory))[1]).toBe('record 51');
    // What it stopped at is where it goes on, whatever --from says.
    expect((await millrace('record', path, directory, '--from', 'oldest')).stdout).toBe(
      'recorded 40 records: offsets 10 to 49\n',
    );
    expect((await valuesOf(directory))[10]).toBe('record 60');
  });

  test.each([
    [[], { everyMs: 100 }],
    [['--sync', '250'], { everyMs: 250 }],
    [['--sync', 'commit'], 'commit'],
  ])('%j: to the disk %j', async (options, sync) => {
    const directory = newDirectory();
    await millrace('record', await ringOf(['one']), directory, ...options);
    expect(inspect(join(directory, '00000000000000000000.mr')).sync).toEqual(sync);
  });

  test('a record that is larger than what others are allowed', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { mode: 'linear', capacity: '128MiB' });
    writer.write(Buffer.alloc(20 * 2 ** 20, 'x'));
    writer.close();
    const directory = newDirectory();
    expect((await millrace('record', path, directory, '--sync', 'none')).code).toBe(0);
    expect((await recordsOf(directory)).map(({ value }) => value.length)).toEqual([20 * 2 ** 20]);
  });
});

describe('run again it goes on where it stopped', () => {
  test('killed again and again in the middle: no record is missing, and none comes twice', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '8MiB' });
    const directory = newDirectory();
    let written = 0;
    const write = (count: number) => {
      for (const to = written + count; written < to; written++) writer.write(`record ${written}`);
    };
    for (let round = 1; round <= 3; round++) {
      write(1);
      const recording = new Running(['record', path, directory]);
      await untilRecorded(directory, written);
      // It is at work on these when it dies, however far it comes with them.
      write(7001);
      await untilRecorded(directory, written - 7000);
      await recording.end('SIGKILL');
    }
    writer.close();
    expect(await millrace('record', path, directory)).toMatchObject({ code: 0 });
    expect(await valuesOf(directory)).toEqual(numbered(written));
  });

  test('what was overwritten meanwhile is counted, in the log, too', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const directory = newDirectory();
    expect((await millrace('record', path, directory, '--limit', '1')).code).toBe(0);
    for (let i = 1; i < 6000; i++) writer.write(`record ${i}`);
    writer.close();
    const { code, stdout, stderr } = await millrace('record', path, directory, '--json');
    const [{ recorded, lost }] = objectsOf(stdout) as { recorded: number; lost: number }[];
    expect(code).toBe(0);
    expect(lost).toBeGreaterThan(2000);
    expect(1 + lost + recorded).toBe(6000);
    expect(stderr).toContain(
      `${lost.toLocaleString('en-US')} records of ${path} were overwritten before they could be recorded`,
    );
    expect(await headersOf(directory, 'millrace.lost')).toEqual([String(lost)]);
    expect(await valuesOf(directory)).toEqual(numbered(6000).filter((_, i) => i === 0 || i > lost));
  });

  test('behind what others appended', async () => {
    const path = await variedChannel(10);
    const directory = newDirectory();
    await millrace('record', path, directory, '--limit', '4');
    await closedLog(['by hand'], directory);
    expect((await millrace('record', path, directory)).stdout).toBe('recorded 6 records: offsets 5 to 10\n');
  });

  test('another channel under the same path is begun at its oldest record, and that is said', async () => {
    const path = await ringOf(['a', 'b', 'c']);
    const directory = newDirectory();
    await millrace('record', path, directory);
    await ringOf(['d', 'e'], path);
    const { code, stdout, stderr } = await millrace('record', path, directory);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'recorded 2 records: offsets 3 to 4\n' });
    expect(linesOf(stderr)[0]).toBe(
      `millrace: ${directory} ends with records of another channel than ${path}, which is begun anew`,
    );
    expect(await valuesOf(directory)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('not in a channel that has other records where the log’s end', async () => {
    const path = await ringOf(['a', 'b']);
    const directory = newDirectory();
    await millrace('record', path, directory, '--limit', '1');
    const id = (await headersOf(directory, 'millrace.next'))[0].split(' ')[0];
    for (const place of ['32 7', '4096 2', '17 1']) {
      const other = await closedLog([{ value: 'x', headers: { 'millrace.next': `${id} ${place}` } }]);
      const { code, stdout, stderr } = await millrace('record', path, other);
      expect({ code, stdout }).toEqual({ code: 1, stdout: 'recorded nothing\n' });
      expect(stderr).toMatch(/^millrace: [^\n]+: record it into another directory \(ERR_CORRUPT\)\n$/);
    }
  });
});

describe('a writer that is faster', () => {
  const LAPS = 20_000;

  test('is not held back: what it overwrote is told', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const directory = newDirectory();
    const recording = new Running(['record', path, directory, '--json']);
    await untilRecorded(directory, 1);
    // Many laps without a turn of anybody's event loop between them.
    for (let i = 1; i < LAPS; i++) writer.write(`record ${i}`);
    writer.close();
    const { code, stdout, stderr } = await recording.end();
    const [{ recorded, lost }] = objectsOf(stdout) as { recorded: number; lost: number }[];
    expect(code).toBe(0);
    expect(lost).toBeGreaterThan(0);
    expect(recorded + lost).toBe(LAPS);
    expect(stderr).toContain('were overwritten before they could be recorded');
    const told = await headersOf(directory, 'millrace.lost');
    expect(told.reduce((sum, text) => sum + Number(text), 0)).toBe(lost);
    expect((await valuesOf(directory)).at(-1)).toBe(`record ${LAPS - 1}`);
  });

  test('is left alone on Ctrl-C, though it goes on and on', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '1MiB' });
    const directory = newDirectory();
    const recording = new Running(['record', path, directory]);
    let isOver = false;
    const flood = async () => {
      for (let i = 0; !isOver; i++) {
        writer.write(`record ${i}`);
        if (i % 1000 === 0) await turn();
      }
    };
    const flooding = flood();
    await untilRecorded(directory, 1);
    const { code, stdout } = await recording.end('SIGINT');
    isOver = true;
    await flooding;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^recorded \d+ records: offsets 0 to \d+/);
  });

  test('waits with --gate, and nothing is lost', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const directory = newDirectory();
    const recording = new Running(['record', path, directory, '--gate']);
    await untilRecorded(directory, 1);
    expect(writer.readers()).toMatchObject([{ name: 'millrace record', state: 'gating' }]);
    for (let i = 1; i < LAPS; i++) await writer.send(`record ${i}`);
    writer.close();
    expect((await recording.end()).stdout).toBe(`recorded ${LAPS} records: offsets 0 to ${LAPS - 1}\n`);
    expect(await valuesOf(directory)).toEqual(numbered(LAPS));
  });
});

test('damage is said, what follows is recorded, and the exit code is 1; the log says that one is missing', async () => {
  const path = newPath();
  const writer = await Writer.create(path, { mode: 'linear', capacity: '64KiB', checksum: 'crc32c' });
  for (const record of ['one', 'two', 'broken', 'four']) writer.write(record);
  await writer.flush();
  writer.close();
  flip(path, readFileSync(path).indexOf('broken'));
  const directory = newDirectory();
  const { code, stdout, stderr } = await millrace('record', path, directory, '--json');
  expect({ code, told: objectsOf(stdout) }).toEqual({
    code: 1,
    told: [{ recorded: 3, lost: 1, first: 0, last: 2 }],
  });
  expect(linesOf(stderr)[0]).toMatch(/ is damaged at position 64; goes on at \d+ \(ERR_CORRUPT\)$/);
  expect(stderr).not.toContain('overwritten');
  const [, , four] = await recordsOf(directory);
  expect(four).toMatchObject({ value: Buffer.from('four') });
  expect(four.headers?.[0]).toEqual(['millrace.lost', Buffer.from('1')]);
});

describe('no log is made for', () => {
  test.each([
    ['a channel that is not there', async () => newPath(), 'ERR_NOT_FOUND'],
    ['what is no channel', async () => newDirectory(), 'ERR_FORMAT'],
    ['the directory of a log', () => closedLog(['one']), 'ERR_FORMAT'],
  ])('%s', async (_, channel, errorCode) => {
    const directory = join(newDirectory(), 'made');
    const { code, stdout, stderr } = await millrace('record', await channel(), directory);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^millrace: [^\n]+ \\(${errorCode}\\)\n$`));
    expect(existsSync(directory)).toBe(false);
  });

  test('a place that is not there: that ends with 1, as where there is a log already', async () => {
    const path = await ringOf(['one']);
    const directory = join(newDirectory(), 'made');
    const recording = () => millrace('record', path, directory, '--from', 'record:7');
    const stderr = `millrace: The next record of ${path} is 1; there is no record 7 yet (ERR_INVALID_ARGUMENT)\n`;
    expect(await recording()).toEqual({ code: 1, stdout: '', stderr });
    expect(existsSync(directory)).toBe(false);
    await closedLog(['by hand'], directory);
    expect(await recording()).toEqual({ code: 1, stdout: 'recorded nothing\n', stderr });
  });
});

test('not into a log that has a live writer, or that several append to', async () => {
  const path = await ringOf(['one']);
  const directory = newDirectory();
  await using log = await Log.open(directory);
  expect(await millrace('record', path, directory)).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('(ERR_WRITER_ACTIVE)'),
  });
  await log.close();
  const shared = newDirectory();
  await (await Log.open(shared, { writers: 'shared' })).close();
  expect(await millrace('record', path, shared)).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('(ERR_SHARED)'),
  });
});

describe('the end of a channel', () => {
  test('a writer that died is told, with 1, and what it committed is recorded; abandoned, it is an end', async () => {
    const path = newPath();
    await dieAfter(path, `(await Writer.create(path, { capacity: '64KiB' })).write('record 0')`);
    const directory = newDirectory();
    const dead = await millrace('record', path, directory);
    expect(dead).toMatchObject({ code: 1, stdout: 'recorded 1 record: offset 0\n' });
    expect(dead.stderr).toMatch(/^millrace: [^\n]+ \(ERR_WRITER_DEAD\)\n$/);
    declareAbandoned(path);
    expect(await millrace('record', path, directory)).toMatchObject({
      code: 0,
      stdout: 'recorded nothing\n',
    });
  });

  test('--wait waits for the channel, and --follow goes on with its successors', async () => {
    const path = newPath();
    const directory = newDirectory();
    const recording = new Running(['record', path, directory, '--wait', '--follow']);
    await dieAfter(path, `(await Writer.create(path, { capacity: '64KiB' })).write('record 0')`);
    await untilRecorded(directory, 1);
    const resumed = await Writer.resume(path);
    resumed.write('record 1');
    await untilRecorded(directory, 2);
    resumed.close();
    using writer = await Writer.create(path, { capacity: '64KiB', replace: true });
    for (const record of numbered(5).slice(2)) writer.write(record);
    await untilRecorded(directory, 5);
    expect(await recording.end('SIGTERM')).toEqual({
      code: 0,
      stdout: 'recorded 5 records: offsets 0 to 4\n',
      stderr: `millrace: ${path} is another channel now, which is gone on with\n`,
    });
    expect(await valuesOf(directory)).toEqual(numbered(5));
    // It is the second one that it goes on with.
    writer.write('record 5');
    expect(await millrace('record', path, directory, '--limit', '1')).toMatchObject({
      stdout: 'recorded 1 record: offset 5\n',
      stderr: '',
    });
    expect(await valuesOf(directory)).toEqual(numbered(6));
  });

  test.each([
    [[], 'recorded nothing\n'],
    [['--json'], `${JSON.stringify({ recorded: 0, lost: 0 })}\n`],
  ])(
    'Ctrl-C while there is no channel yet leaves nothing behind, and is told: %j',
    async (options, stdout) => {
      const directory = join(newDirectory(), 'made');
      const recording = new Running(['record', newPath(), directory, '--wait', ...options]);
      await recording.untilHearing();
      expect(await recording.end('SIGINT')).toEqual({ code: 0, stdout, stderr: '' });
      expect(existsSync(directory)).toBe(false);
    },
  );

  test('--follow goes on with a successor whose records are larger than those of the first', async () => {
    const path = await ringOf(['first']);
    const directory = newDirectory();
    const recording = new Running(['record', path, directory, '--follow']);
    await untilRecorded(directory, 1);
    const large = Buffer.alloc(9 * 2 ** 20, 'x');
    using writer = await Writer.create(path, { capacity: '128MiB', replace: true });
    writer.write('before');
    writer.write(large);
    writer.write('after');
    await recording.until(({ said }) => said.includes('is another channel now'));
    await untilRecorded(directory, 4);
    writer.write('last');
    await untilRecorded(directory, 5);
    expect(await recording.end('SIGINT')).toMatchObject({
      code: 0,
      stdout: 'recorded 5 records: offsets 0 to 4\n',
    });
    const values = (await recordsOf(directory)).map(({ value }) => value);
    expect(values[2].equals(large)).toBe(true);
    expect(values.toSpliced(2, 1).map(String)).toEqual(['first', 'before', 'after', 'last']);
    // It is behind them that the next one goes on.
    writer.write('again');
    expect(await millrace('record', path, directory, '--limit', '1')).toEqual({
      code: 0,
      stdout: 'recorded 1 record: offset 5\n',
      stderr: '',
    });
  });
});

test('with --wait it waits for whoever goes on with a channel that has no writer, and ends with that', async () => {
  const [path, directory] = [newPath(), newDirectory()];
  await millrace('create', path, '--size', '64KiB');
  await fed('one\n', 'write', path, '--keep');
  const recording = new Running(['record', path, directory, '--wait']);
  await untilRecorded(directory, 1);
  // Who does not wait gives up.
  const impatient = await millrace('record', path, newDirectory());
  expect(impatient).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('; --wait waits for one that goes on with it (ERR_WRITER_DEAD)'),
  });
  await fed('two\n', 'write', path);
  expect(await recording.end()).toMatchObject({ code: 0 });
  expect(await valuesOf(directory)).toEqual(['one', 'two']);
});
