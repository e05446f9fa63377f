import { readFileSync, rmSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { declareAbandoned, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';
import { dieAfter, fed, linesOf, millrace, objectsOf, piped, Running } from './command.js';

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `record ${from + i}`);

async function closedChannel(count: number) {
  const path = newPath();
  const writer = await Writer.create(path, { mode: 'linear', capacity: '1MiB' });
  for (const record of numbered(0, count)) writer.write(record);
  writer.close();
  return path;
}

describe('the last records', () => {
  test('ten, or as many as asked for, oldest first', async () => {
    const path = await closedChannel(3000);
    const lines = async (...args: string[]) => linesOf((await millrace('tail', path, ...args)).stdout);
    expect(await lines()).toEqual(numbered(2990, 3000));
    expect(await lines('-n', '2')).toEqual(numbered(2998, 3000));
    expect(await lines('-n0')).toEqual([]);
    expect(await lines('-n', '99999')).toEqual(numbered(0, 3000));
    expect(await lines('-n', '1', '--hex')).toEqual([Buffer.from('record 2999').toString('hex')]);
    expect(objectsOf((await millrace('tail', path, '-n', '1', '--json')).stdout)).toMatchObject([
      { record: 2999, size: 11, text: 'record 2999' },
    ]);
  });

  test('bytes go out as they are', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { mode: 'linear', capacity: '64KiB' });
    writer.write(Buffer.from([0xff, 0x00, 0x1b]));
    expect((await piped(['tail', path], 'od -An -tx1')).stdout.trim()).toBe('ff 00 1b 0a');
  });
});

describe('-f', () => {
  test.each([
    ['closed', (writer: Writer) => writer.close()],
    ['sealed', (writer: Writer) => writer.seal()],
  ])('goes on until the stream is %s, and says so', async (state, end) => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const following = new Running(['tail', '-f', path]);
    await following.until(({ lines }) => lines.length === 1);
    writer.write('record 1');
    writer.write('record 2');
    await following.until(({ lines }) => lines.length === 3);
    writer.write('record 3');
    end(writer);
    const { code, stdout, stderr } = await following.end();
    expect({ code, lines: linesOf(stdout) }).toEqual({ code: 0, lines: numbered(0, 4) });
    expect(stderr).toBe(`millrace: ${path} is ${state}: this was its last record\n`);
  });

  test('ends with 1 when the writer died, with 0 when it was declared abandoned', async () => {
    const path = newPath();
    await dieAfter(path, `(await Writer.create(path, { capacity: '64KiB' })).write('record 0')`);
    const dead = await millrace('tail', '-f', path);
    expect(dead).toMatchObject({ code: 1, stdout: 'record 0\n' });
    expect(dead.stderr).toMatch(
      /^millrace: the writer of [^\n]+ died [^\n]+; --wait waits for one that goes on with it \(ERR_WRITER_DEAD\)\n$/,
    );
    declareAbandoned(path);
    const abandoned = await millrace('tail', '-f', path);
    expect(abandoned).toMatchObject({ code: 0, stdout: 'record 0\n' });
    expect(abandoned.stderr).toContain('is abandoned');
  });

  test('with --wait it waits for the channel, and for whoever goes on with one that has no writer', async () => {
    const path = newPath();
    const waiting = new Running(['tail', '-f', '--wait', path]);
    await millrace('create', path, '--size', '64KiB');
    await fed('record 0\n', 'write', path, '--keep');
    await waiting.until(({ lines }) => lines.length === 1);
    // Who does not wait gives up, some time after it was left.
    expect(await millrace('tail', '-f', path)).toMatchObject({ code: 1, stdout: 'record 0\n' });
    await fed('record 1\n', 'write', path);
    const { code, stdout, stderr } = await waiting.end();
    expect({ code, lines: linesOf(stdout) }).toEqual({ code: 0, lines: numbered(0, 2) });
    expect(stderr).toBe(`millrace: ${path} is closed: this was its last record\n`);
  });

  test.each([
    ['replaced', (path: string) => millrace('create', path, '--size', '64KiB', '--replace')],
    [
      'removed and made anew',
      (path: string) => {
        rmSync(path);
        return millrace('create', path, '--size', '64KiB');
      },
    ],
  ])('with --wait it goes over to what takes the place of an empty channel that is %s', async (_, anew) => {
    const path = newPath();
    await millrace('create', path, '--size', '64KiB');
    const waiting = new Running(['tail', '-f', '--wait', path]);
    await waiting.until(({ child }) => readFileSync(`/proc/${child.pid}/maps`, 'utf8').includes(path));
    expect(await anew(path)).toMatchObject({ code: 0, stderr: '' });
    await fed('record 0\nrecord 1\n', 'write', path);
    expect(await waiting.end()).toEqual({
      code: 0,
      stdout: 'record 0\nrecord 1\n',
      stderr: `millrace: ${path} is closed: this was its last record\n`,
    });
  });

  test('with --wait it ends where an empty channel does, and where one that has records is replaced', async () => {
    const path = newPath();
    await millrace('create', path, '--size', '64KiB');
    await millrace('abandon', path);
    expect(await millrace('tail', '-f', '--wait', path)).toMatchObject({ code: 0, stdout: '' });
    await millrace('create', path, '--size', '64KiB', '--replace');
    await fed('record 0\n', 'write', path, '--keep');
    const waiting = new Running(['tail', '-f', '--wait', path]);
    await waiting.until(({ lines }) => lines.length === 1);
    rmSync(path);
    await millrace('create', path, '--size', '64KiB');
    const { code, stdout, stderr } = await waiting.end();
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'record 0\n' });
    expect(stderr).toMatch(/; something else has its name now \(ERR_WRITER_DEAD\)\n$/);
  });

  test('names --wait where there is no channel yet', async () => {
    const path = newPath();
    expect(await millrace('tail', '-f', path)).toEqual({
      code: 1,
      stdout: '',
      stderr: `millrace: Can't open ${path}: it is not there; --wait waits for it (ERR_NOT_FOUND)\n`,
    });
    expect((await millrace('tail', path)).stderr).not.toContain('--wait');
  });

  test('ends quietly on Ctrl-C', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const following = new Running(['tail', '-f', path]);
    await following.until(({ lines }) => lines.length === 1);
    expect(await following.end('SIGINT')).toEqual({ code: 0, stdout: 'record 0\n', stderr: '' });
  });

  test('ends quietly on Ctrl-C where it waits for a channel', async () => {
    const waiting = new Running(['tail', '-f', '--wait', newPath()]);
    await waiting.untilHearing();
    expect(await waiting.end('SIGINT')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('ends quietly when nobody reads any more', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const writing = setInterval(() => writer.write('record 1'), 5);
    const outcome = await piped(['tail', '-f', path], 'head -n 3');
    clearInterval(writing);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(linesOf(outcome.stdout)).toHaveLength(3);
  });

  test.each([
    ['SIGINT', 'SIGTERM'],
    ['SIGTERM', 'SIGINT'],
  ] as const)('%s, and %s while it is ending, which ends it at once', async (first, second) => {
    const lasting = { NODE_OPTIONS: '--import data:text/javascript,setInterval(Date.now,1000)' };
    const following = new Running(['tail', '-f', '--wait', newPath()], 'ignore', lasting);
    onTestFinished(() => void following.child.kill('SIGKILL'));
    await following.untilHearing();
    following.child.kill(first);
    await following.untilHearing(false);
    await following.end(second);
    expect(following.child.signalCode).toBe(second);
  });

  test('counts what was overwritten before it could be printed', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('record 0');
    const following = new Running(['tail', '-f', path, '--json']);
    await following.until(({ lines }) => lines.length === 1);
    // Three laps without a turn of anybody's event loop between them.
    for (const record of numbered(1, 6001)) writer.write(record);
    writer.close();
    const { code, stdout, stderr } = await following.end();
    expect(code).toBe(0);
    const records = objectsOf(stdout).map(({ record }) => Number(record));
    const lost = [...stderr.matchAll(/([\d,]+) records of [^\n]+ were overwritten/g)];
    const sum = lost.reduce((total, [, count]) => total + Number(count.replaceAll(',', '')), 0);
    expect(sum).toBeGreaterThan(0);
    expect(records.length + sum).toBe(6001);
    expect(records).toEqual([...new Set(records)].sort((a, b) => a - b));
    expect(records.at(-1)).toBe(6000);
  });
});
