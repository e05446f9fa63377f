import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { fed, millrace } from './command.js';
import { valuesOf } from './log.js';
import { variedChannel } from './recording.js';

test('names --wait where there is no channel yet, and makes no log', async () => {
  const [path, directory] = [newPath(), join(newDirectory(), 'made')];
  expect(await millrace('record', path, directory)).toEqual({
    code: 1,
    stdout: '',
    stderr: `millrace: Can't open ${path}: it is not there; --wait waits for it (ERR_NOT_FOUND)\n`,
  });
  expect(existsSync(directory)).toBe(false);
});

test.each([
  ['record', async (directory: string) => millrace('record', await variedChannel(3), directory)],
  ['log append', (directory: string) => fed('one\n', 'log', 'append', directory)],
])('%s makes no log in the directory of another one', async (_, make) => {
  const around = newDirectory();
  await millrace('record', await variedChannel(3), around);
  const before = readdirSync(around);
  const { code, stdout, stderr } = await make(join(around, 'inner'));
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toBe(
    `millrace: ${around} is the directory of a log, which has no place for another log: ` +
      'choose a path outside of it (ERR_FORMAT)\n',
  );
  expect(readdirSync(around)).toEqual(before);
});

test('--from is not for a channel that the log ends with records of: that is said', async () => {
  const [path, directory] = [await variedChannel(5), newDirectory()];
  const recording = (...options: string[]) =>
    millrace('record', path, directory, '--from', 'record:2', ...options);
  const ended = `millrace: ${path} is closed: this was its last record\n`;
  expect(await recording('--limit', '1')).toEqual({
    code: 0,
    stdout: 'recorded 1 record: offset 0\n',
    stderr: '',
  });
  expect(await recording()).toEqual({
    code: 0,
    stdout: 'recorded 2 records: offsets 1 to 2\n',
    stderr: `millrace: ${directory} ends with records of ${path}, which is gone on with behind them, and not at --from\n${ended}`,
  });
  expect(await valuesOf(directory)).toEqual(['record 2', 'record 3', 'record 4']);
  // Where nothing is said, nothing is passed over.
  expect((await millrace('record', path, directory)).stderr).toBe(ended);
});
