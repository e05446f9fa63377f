import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { writeDocs } from '../../bench/report/docs.js';
import { cell } from '../../bench/report/markdown.js';
import { trials } from '../../bench/trials/index.js';

const SCRIPT = fileURLToPath(new URL('../../bench/docs.js', import.meta.url));
const RESULTS = fileURLToPath(new URL('../../bench/results/', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
const DOCS = join(CHECKOUT, 'docs');

const read = (...path: string[]) => readFileSync(join(...path), 'utf8');

/** A folder with the front page, with other figures, in which the docs are to be made. */
function newCheckout(): string {
  const made = mkdtempSync(join(tmpdir(), 'millrace-docs-'));
  const figures = /(?<=bench:docs` .* -->\n\n)[\s\S]*(?=<!-- to here)/;
  writeFileSync(join(made, 'README.md'), read(CHECKOUT, 'README.md').replace(figures, 'Old figures.\n\n'));
  return made;
}

test('docs/performance.md and the figures of README.md are what bench:docs makes of the results, pictures and all', () => {
  const made = newCheckout();
  try {
    expect(read(made, 'README.md')).toContain('Old figures.');
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, '--into', made], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const same = (...path: string[]) => read(CHECKOUT, ...path) === read(made, ...path);
    expect(same('README.md'), 'npm run bench:docs').toBe(true);
    expect(same('docs', 'performance.md'), 'npm run bench:docs').toBe(true);
    const pictures = readdirSync(join(made, 'docs', 'performance')).sort();
    expect(readdirSync(join(DOCS, 'performance')).sort()).toEqual(pictures);
    for (const picture of pictures) expect(same('docs', 'performance', picture), picture).toBe(true);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
});

test('docs/performance.md is not made without the results in a file that is broken, which is named', () => {
  const made = newCheckout();
  try {
    const results = join(made, 'results');
    cpSync(RESULTS, results, { recursive: true });
    const broken = join(results, 'memory.json');
    writeFileSync(broken, '{');
    expect(() => writeDocs(results, made, trials)).toThrow(`${broken} can't be read: `);
    expect(readdirSync(made)).toEqual(['README.md', 'results']);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
});

test('figures are not lost where README.md has no place for them', () => {
  const made = newCheckout();
  try {
    writeFileSync(join(made, 'README.md'), '# Millrace\n');
    expect(() => writeDocs(RESULTS, made, trials)).toThrow('README.md has no place for the figures');
    expect(readdirSync(made)).toEqual(['README.md']);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
});

test('a cell shows all of its text', () => {
  expect(cell('it is <not> &\nthere | here')).toBe('it is &lt;not> &amp; there \\| here');
});

test('docs/performance.md says of each bar what was measured', () => {
  const [, table] = read(DOCS, 'performance.md').split('| who | where | bar | measured | |\n');
  const [bars] = (table as string).split('\n\n');
  const measured = (bars as string).split('\n').map((line) => line.split(' | ')[3]);
  expect(measured.length).toBeGreaterThan(50);
  expect(measured.filter((text) => text?.trim() === '')).toEqual([]);
});

test('docs/performance.md shows every picture that is there, and no other', () => {
  const page = read(DOCS, 'performance.md');
  const pictures = [...page.matchAll(/!\[.+\]\(performance\/(.+)\)/g)].map(([, file]) => file);
  expect(pictures.sort()).toEqual(readdirSync(join(DOCS, 'performance')).sort());
});
