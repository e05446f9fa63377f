import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { parseCommand } from '../../bench/harness/command.js';
import { resultsFolder } from '../../bench/harness/results.js';
import { trials } from '../../bench/trials/index.js';

const folderOf = (...args: string[]) => basename(resultsFolder(parseCommand(args, trials)));

test('a run with anything of the user’s own does not take the place of a full one', () => {
  expect(folderOf('--full')).toBe('results');
  expect(folderOf('--full', 'stalls')).toBe('results');
  expect(folderOf()).toBe('quick');
  for (const own of [['--turns', '4'], ['--node=--gc'], ['--dir', '/mnt/disk'], ['--cpus', '2,3']]) {
    expect([own, folderOf('--full', ...own)]).toEqual([own, 'own']);
  }
});
