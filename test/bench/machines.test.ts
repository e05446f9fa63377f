import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { commitOf } from '../../bench/harness/machine.js';
import { machineText, softwareText, tellAll } from '../../bench/report/machines.js';

const measured = (title: string, cpu: string) => ({ trial: { title }, result: { cpu } });
const tell = (reported: ReturnType<typeof measured>[]) => tellAll(reported, ({ cpu }) => cpu);

test('a report says which machine was whose, where it was not the same for all', () => {
  const first = [measured('One', 'this'), measured('Two', 'this')];
  expect(tell(first)).toBe('this');
  const others = [measured('Four', 'that'), measured('Five', 'this')];
  expect(tell([measured('Three', 'that'), ...first, ...others])).toBe('this. But Three; Four: that');
});

test('what a figure means nothing without is told of it', () => {
  const machine = { cores: 2, cpu: 'this', memoryGiB: 24, kernel: '6.1', fileSystem: 'tmpfs', disk: 'ext4' };
  expect(machineText(machine)).toBe('2 cores of this, 24 GiB, Linux 6.1, channels on tmpfs, on disk: ext4');
  expect(softwareText({ millrace: '1.2.3', node: 'v20', compiler: 'cc' })).toBe(
    'Millrace 1.2.3, Node v20, cc',
  );
});

test('results name the commit of what was measured, and whether it was changed', () => {
  const root = `${mkdtempSync(join(tmpdir(), 'millrace-'))}/`;
  onTestFinished(() => rmSync(root, { recursive: true }));
  expect(commitOf(root)).toBeUndefined();
  const git = (...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@b.c', ...words], {
      cwd: root,
      encoding: 'utf8',
    });
  git('init', '-q');
  for (const folder of ['lib', 'native', 'bench']) {
    mkdirSync(join(root, folder));
    writeFileSync(join(root, folder, 'file'), '');
  }
  git('add', '.');
  git('commit', '-q', '-m', 'First');
  const commit = git('rev-parse', '--short', 'HEAD').trim();
  writeFileSync(join(root, 'bench', 'file'), 'a result');
  expect(commitOf(root)).toBe(commit);
  writeFileSync(join(root, 'native', 'file'), 'other code');
  expect(commitOf(root)).toBe(`${commit}, changed`);
});
