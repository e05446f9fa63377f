import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { flip } from '../log/damaging.js';
import { millrace, type Outcome, Running } from './command.js';
import { closedLog, numbered, valuesOf } from './log.js';
import { textsOf } from './recording.js';

/** `millrace … < input`, where nobody takes what it prints. */
async function unread(input: string, ...args: string[]): Promise<Outcome> {
  const running = new Running(args, 'pipe');
  const { stdin, stdout } = running.child;
  stdout?.destroy();
  stdin?.on('error', () => {}).end(input);
  return running.end();
}

async function channel(records: string[], damaged = ''): Promise<string> {
  const writer = await Writer.create(newPath(), {
    mode: 'linear',
    capacity: '64KiB',
    checksum: 'crc32c',
  });
  writer.writeBatch(records);
  writer.close();
  if (damaged !== '') flip(writer.path, readFileSync(writer.path).indexOf(damaged));
  return writer.path;
}

async function damagedLog(): Promise<string> {
  const directory = await closedLog(['zero', 'broken', 'two']);
  const segment = join(directory, '00000000000000000000.mr');
  flip(segment, readFileSync(segment).indexOf('broken'));
  return directory;
}

describe('nobody takes what is printed: a fault is said nevertheless, and the exit code is 1', () => {
  test('write', async () => {
    const path = newPath();
    await millrace('create', path, '--mode', 'linear', '--size', '16KiB');
    const { code, stderr } = await unread(numbered(1000).join('\n'), 'write', path);
    expect(stderr).toMatch(/^millrace: record 511 of the input: [^\n]+\(ERR_CHANNEL_FULL\)\n$/);
    expect(code).toBe(1);
    expect(await textsOf(path)).toEqual(numbered(510));
  });

  test('log append', async () => {
    const directory = newDirectory();
    const { code, stderr } = await unread('{"value":"a"}\nnope\n', 'log', 'append', directory, '--json');
    expect(stderr).toMatch(/^millrace: line 2: it is no JSON[^\n]+\n$/);
    expect(code).toBe(1);
    expect(await valuesOf(directory)).toEqual(['a']);
  });

  test('record', async () => {
    const directory = newDirectory();
    const { code, stderr } = await unread(
      '',
      'record',
      await channel(['zero', 'broken', 'two'], 'broken'),
      directory,
    );
    expect(stderr).toMatch(/is damaged at position \d+; goes on at \d+ \(ERR_CORRUPT\)\n/);
    expect(code).toBe(1);
    expect(await valuesOf(directory)).toEqual(['zero', 'two']);
  });

  test('replay', async () => {
    const log = await closedLog(numbered(2000));
    const path = newPath();
    const { code, stderr } = await unread('', 'replay', log, path, '--mode', 'linear', '--size', '16KiB');
    expect(stderr).toMatch(/^millrace: record \d+ of the log: [^\n]+\(ERR_CHANNEL_FULL\)\n$/);
    expect(code).toBe(1);
  });

  test.each(['verify', 'log verify'])('%s', async (verb) => {
    const isLog = verb === 'log verify';
    const sound = isLog ? await closedLog(['one']) : await channel(['one']);
    const damaged = isLog ? await damagedLog() : await channel(['one', 'broken'], 'broken');
    const codeOf = async (...paths: string[]) => (await unread('', ...verb.split(' '), ...paths)).code;
    expect(await codeOf(damaged)).toBe(1);
    expect(await codeOf(damaged, sound)).toBe(1);
    // It ends before the second one.
    expect(await codeOf(sound, damaged)).toBe(1);
    expect(await codeOf(sound)).toBe(0);
  });

  test('doctor, which ends before all was looked at', async () => {
    expect(await unread('', 'doctor', newDirectory())).toEqual({ code: 1, stdout: '', stderr: '' });
  });

  test('what is met behind all that was printed', async () => {
    const path = await channel(['one']);
    // It ended further on than anything in it.
    flip(path, L.FINAL_POSITION_OFFSET + 4);
    const { code, stderr } = await unread('', 'dump', path);
    expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_TRUNCATED\)\n$/);
    expect(code).toBe(1);
  });
});

test('nobody takes what is said: the work goes on', async () => {
  const path = newPath();
  const first = await Writer.create(path, { capacity: '64KiB' });
  first.write('one');
  const directory = newDirectory();
  const recording = new Running(['record', path, directory, '--follow', '--json']);
  await recording.until(() => existsSync(join(directory, 'log.lock')));
  await using log = await Log.open(directory, { readOnly: true });
  await recording.until(() => log.next === 1);
  const { stderr } = recording.child;
  stderr?.destroy();
  await once(stderr as NonNullable<typeof stderr>, 'close');
  first.close();
  // It says that this is another channel.
  using second = await Writer.create(path, { capacity: '64KiB', replace: true });
  second.write('two');
  await recording.until(() => log.next === 2);
  second.write('three');
  await recording.until(() => log.next === 3);
  const { code, stdout } = await recording.end('SIGINT');
  expect({ code, told: JSON.parse(stdout) }).toEqual({
    code: 0,
    told: { recorded: 3, lost: 0, first: 0, last: 2 },
  });
  expect(await valuesOf(directory)).toEqual(['one', 'two', 'three']);
});
