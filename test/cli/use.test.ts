import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { newDirectory } from '../helpers/run-directory.js';
import { millrace } from './command.js';

const VERBS = ['stat', 'dump', 'tail', 'verify'];

describe('help', () => {
  test('names every verb', async () => {
    for (const ask of [['help'], ['--help'], ['-h']]) {
      const { code, stdout, stderr } = await millrace(...ask);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const verb of VERBS) expect(stdout).toContain(`  ${verb}  `);
    }
  });

  test.each(VERBS)('shows examples of %s', async (verb) => {
    const { code, stdout } = await millrace('help', verb);
    expect(code).toBe(0);
    expect(stdout).toContain(`Examples\n  millrace ${verb} `);
    expect(await millrace(verb, '--help')).toMatchObject({ code: 0, stdout });
  });

  test('the version is the package’s', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await millrace('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

test('without a word it says what there is to be done', async () => {
  const { code, stdout, stderr } = await millrace();
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe((await millrace('help')).stdout);
});

describe('wrong use ends with 2 and one line that says what is right', () => {
  test.each([
    [['sta'], "did you mean 'stat'?"],
    [['frobnicate'], 'there are stat, dump, tail'],
    [['help', 'dmup'], "did you mean 'dump'?"],
    [['stat'], 'which channel?'],
    [['dump'], 'which channel?'],
    [['tail', 'a', 'b'], 'one channel at a time'],
    [['dump', 'a', '--limt', '3'], "did you mean '--limit'?"],
    [['tail', 'a', '-x'], '-n, --lines'],
    [['tail', 'a', '-n'], '--lines'],
    [['tail', 'a', '-n', 'few'], 'a whole number from 0 up'],
    [['dump', 'a', '--limit', '0'], 'a whole number from 1 up'],
    [['dump', 'a', '--from', 'yesterday'], 'record:N'],
    [['dump', 'a', '--hex', '--text'], 'not several'],
    [['stat', 'a', '--json=yes'], '--json'],
  ])('millrace %j', async (args, hint) => {
    const { code, stdout, stderr } = await millrace(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^millrace: [^\n]+\n$/);
    expect(stderr).toContain(hint);
  });
});

describe('what is not a channel ends with 1 and one line with the code', () => {
  // To verify, it is a finding like any other.
  test.each(VERBS.filter((verb) => verb !== 'verify'))('%s', async (verb) => {
    const directory = newDirectory();
    const cases = [
      [`${directory}/nothing\nhere`, 'ERR_NOT_FOUND'],
      [directory, 'ERR_FORMAT'],
      [new URL('../../package.json', import.meta.url).pathname, 'ERR_FORMAT'],
    ];
    for (const [path, errorCode] of cases) {
      const { code, stdout, stderr } = await millrace(verb, path);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^millrace: [^\n]+ \\(${errorCode}\\)\n$`));
    }
  });
});
