import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { blocksOf, buildPackage, npmScripts, runBlock, tryBlock } from '../helpers/blocks.js';

// How a block of README.md says what it prints: a comment `//=> text` for each line of output, in order (`#=> text`
// in a shell block). A block without one may print what it likes; no block may fail.

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const readme = read('README.md');
const packageHome = buildPackage();

const blocks = blocksOf(readme);
const runnable = blocks.filter(({ language }) => ['js', 'ts', 'sh'].includes(language));
const modules = runnable.filter(({ language }) => language !== 'sh');

test('README.md has code to run, and every fence is closed', () => {
  expect(modules.length).toBeGreaterThan(0);
  expect(readme.match(/^```/gm)?.length).toBe(blocks.length * 2);
});

test.each(runnable)('the $language block at line $line of README.md does what it says', (block) =>
  tryBlock(block, packageHome),
);

test('every npm script that README.md names exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const block of blocks.filter(({ language }) => language === 'sh')) {
    for (const script of npmScripts(block)) expect(Object.keys(scripts)).toContain(script);
  }
});

describe('this test can fail: it notices a block that', () => {
  const block = (code: string, language = 'js') => blocksOf(`\`\`\`${language}\n${code}\n\`\`\`\n`)[0];
  const running = (code: string, language?: string) => () => runBlock(block(code, language), packageHome);

  test('throws', () => expect(running('throw new Error("no")')).toThrow('ended with 1'));
  test('rejects', () => expect(running('await Promise.reject(new Error("no"))')).toThrow('ended with 1'));
  test('imports what is not there', () =>
    expect(running("import { nothing } from 'millrace';")).toThrow('nothing'));
  test('prints nothing where it says so', () => expect(running('//=> 1')).toThrow('but it prints'));
  test('prints something else', () =>
    expect(running('console.log(2); //=> 1')).toThrow('It says that it prints\n  1\nbut it prints\n  2'));
  test('prints in another order', () =>
    expect(running('console.log(2); //=> 1\nconsole.log(1); //=> 2')).toThrow('but it prints'));
  test('prints more', () => expect(running('console.log("1\\n2"); //=> 1')).toThrow('but it prints'));
  test('runs a command that fails', () =>
    expect(running('node -e "process.exit(3)"', 'sh')).toThrow('with 3'));
  test('names a script that is not there', () =>
    expect(npmScripts(block('npm ci\nnpm run --silent demo\nnpm test -- x', 'sh'))).toEqual([
      'demo',
      'test',
    ]));
  test('and none that does what it says', () => {
    running("import { shmPath } from 'millrace';\nconsole.log(shmPath('a').length > 1); //=> true")();
    running('npm ci\n$ node -p 1 #=> 1\ngit clone nowhere', 'sh')();
  });
});
