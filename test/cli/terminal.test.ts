import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Writer } from '../../lib/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { linesOf, millrace, onTerminal } from './command.js';
import { closedLog } from './log.js';

// CSI in one character, DEL, and what turns the direction of writing.
const HOSTILE = 'x\u009b31m\u007f\u202e\u2066y';
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const HEEDED = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

describe('--json has what a terminal would heed escaped, and means the same', () => {
  let directory: string;

  beforeAll(async () => {
    directory = join(newDirectory(), HOSTILE);
    mkdirSync(directory);
    const path = join(directory, 'channel');
    using writer = await Writer.create(path, { capacity: '64KiB', metadata: { [HOSTILE]: 1 } });
    writer.write(HOSTILE);
    const record = { key: HOSTILE, value: HOSTILE, headers: [[HOSTILE, HOSTILE] as [string, string]] };
    await closedLog([record], join(directory, 'log'));
  });

  test.each([
    ['dump', 'channel'],
    ['tail', 'channel'],
    ['stat', 'channel'],
    ['verify', 'channel'],
    ['create', 'other'],
    ['top --once', '.'],
    ['log read', 'log'],
    ['log stat', 'log'],
    ['log segments', 'log'],
    ['log verify', 'log'],
    ['log repair', 'log'],
  ])('%s', async (verb, name) => {
    const { code, stdout } = await millrace(...verb.split(' '), join(directory, name), '--json');
    expect(code).toBe(0);
    const lines = linesOf(stdout);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      expect(line).not.toMatch(HEEDED);
      expect(JSON.stringify(JSON.parse(line))).toContain(HOSTILE);
    }
  });
});

test('a terminal that does not tell its size shows all there is', async () => {
  const directory = newDirectory();
  for (const name of ['orders', 'returns']) {
    using _writer = await Writer.create(join(directory, name), { capacity: '64KiB' });
  }
  const lines = (await onTerminal(['top', directory, '--once'])).split('\r\n');
  expect(lines[0]).toBe(`${directory}: 2 channels, 0 logs; 0 records/s, 0 B/s written`);
  expect(lines[2]).toMatch(/^PATH +STATUS +MODE .* EVICTED$/);
  expect(lines.slice(3, 5)).toEqual([
    expect.stringMatching(/^orders +closed +ring /),
    expect.stringMatching(/^returns +closed +ring /),
  ]);
});

test.each([60, 61])('what is too long for %i columns is cut between characters', async (columns) => {
  const directory = join(newDirectory(), '😀'.repeat(20));
  mkdirSync(directory);
  using _writer = await Writer.create(join(directory, '😀'.repeat(30)), { capacity: '64KiB' });
  const [summary, , , row] = (await onTerminal(['top', directory, '--once'], undefined, 24, columns)).split(
    '\r\n',
  );
  expect([summary, row]).toEqual([expect.stringMatching(/😀…$/u), expect.stringMatching(/^…(😀)+ +alive /u)]);
  expect(Math.max(summary.length, row.length)).toBeLessThanOrEqual(columns);
});

test('log read --frames shows bytes on a terminal no more than --values does', async () => {
  const log = await closedLog(['\u009b31m\u001b[2J', 'plain']);
  const shown = await onTerminal(['log', 'read', log, '--frames']);
  expect(shown).toBe('\\u009b31m\\u001b[2J\r\nplain\r\n');
  expect(shown).toBe(await onTerminal(['log', 'read', log, '--values']));
});
