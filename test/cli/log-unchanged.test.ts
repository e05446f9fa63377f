import { afterEach, expect, test } from 'vitest';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf, StoppedWriter } from '../helpers/stopped-writer.js';
import { millrace, Running } from './command.js';

const READING = [
  ['read'],
  ['read', '--json', '--from', '1000'],
  ['read', '--from', '2023-11-14', '--durable'],
  ['read', '--reverse', '--limit', '2000'],
  ['stat'],
  ['stat', '--json'],
  ['segments'],
  ['cursors'],
  ['verify'],
  ['verify', '--json'],
];

let writer: StoppedWriter | undefined;
let following: Running[] = [];

afterEach(async () => {
  await Promise.all(following.map((one) => one.end('SIGKILL')));
  await writer?.kill();
});

test('what reads changes nothing in the directory: no byte, no name, no time; with a live writer and without', async () => {
  const directory = newDirectory();
  writer = await StoppedWriter.after(
    directory,
    `for (let i = 0; i < 5000; i++) log.append('record ' + i);
     await log.cursor('one').set(7); await log.cursor('one').flush()`,
  );
  const before = contentsOf(directory);
  expect(before.map(({ name }) => name)).toEqual(expect.arrayContaining(['cursors.mr', 'log.lock']));
  expect(before.length).toBeGreaterThan(4);
  for (const isAlive of [true, false]) {
    following = [
      new Running(['log', 'tail', directory, '-n', '5']),
      new Running(['log', 'read', directory, '--follow', '--from', '4995']),
      new Running(['log', 'stat', directory, '--watch']),
    ];
    for (const one of following) await one.until(({ lines }) => lines.length >= 5);
    for (const [verb, ...options] of READING) {
      expect(await millrace('log', verb, directory, ...options)).toMatchObject({ code: 0, stderr: '' });
    }
    expect(contentsOf(directory)).toEqual(before);
    for (const one of following) expect(await one.end('SIGINT')).toMatchObject({ code: 0, stderr: '' });
    expect(contentsOf(directory)).toEqual(before);
    expect((await millrace('log', 'stat', directory)).stdout).toContain(isAlive ? 'alive' : 'none');
    await writer.kill();
  }
});
