import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inspect, Reader, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';
import { dieAfter, millrace, objectsOf } from './command.js';
import { closedLog } from './log.js';

async function left(): Promise<string> {
  const path = newPath();
  await dieAfter(path, `(await Writer.create(path, { capacity: '64KiB' })).writeBatch(['one', 'two'])`);
  return path;
}

test('ends what a dead writer left, and tells where', async () => {
  const path = await left();
  const { writerPid } = inspect(path);
  using reader = await Reader.open(path, { from: 'oldest' });
  expect(await millrace('abandon', path)).toEqual({
    code: 0,
    stdout: `${path} is abandoned at position 64, behind 2 records; its writer was pid ${writerPid}\n`,
    stderr: '',
  });
  expect(reader.readBatch(10).map(({ data }) => data.toString())).toEqual(['one', 'two']);
  expect([reader.ended, reader.status]).toEqual([true, 'abandoned']);
});

test('as an object', async () => {
  const path = await left();
  const { writerPid } = inspect(path);
  const { code, stdout } = await millrace('abandon', path, '--json');
  expect(code).toBe(0);
  expect(objectsOf(stdout)).toEqual([{ path, status: 'abandoned', records: 2, position: 64, writerPid }]);
});

test('leaves alone whose writer lives, and what has its end', async () => {
  const path = newPath();
  const writer = await Writer.create(path, { capacity: '64KiB' });
  const live = await millrace('abandon', path);
  expect(live).toMatchObject({ code: 1, stdout: '' });
  expect(live.stderr).toMatch(
    new RegExp(`^millrace: ${path} has a live writer, pid ${process.pid}; [^\n]+\\(ERR_WRITER_ACTIVE\\)\n$`),
  );
  writer.write('it goes on');
  writer.close();
  const ended = await millrace('abandon', path);
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(/ is closed [^\n]+ shows what is in it \(ERR_ENDED\)\n$/);
  expect(inspect(path).status).toBe('closed');
});

test('leaves a segment of a log alone', async () => {
  const directory = await closedLog(['one']);
  const segment = join(directory, readdirSync(directory).find((name) => name.startsWith('0')) ?? '');
  const before = readFileSync(segment);
  const { code, stdout, stderr } = await millrace('abandon', segment);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('is a segment of a log');
  expect(readFileSync(segment).equals(before)).toBe(true);
});

test.each([[[]], [['a', 'b']]])('wrong use: %j', async (paths) => {
  expect(await millrace('abandon', ...paths)).toMatchObject({ code: 2, stdout: '' });
});
