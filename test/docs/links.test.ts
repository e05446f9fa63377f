import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { VERBS } from '../../lib/cli/verbs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const docs = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);

/** What a page links to within the project: as [path of a file, anchor of a heading in it]. */
function linksOf(page: string): [string, string | undefined][] {
  const prose = read(page).replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^\w+:/.test(target))
    .map((target) => {
      const [file, anchor] = target.split('#');
      return [file === '' ? page : relative(root, join(root, dirname(page), file)), anchor];
    });
}

function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

test.each(['README.md', ...docs])(
  'every link of %s leads to a file, and to a heading that it has',
  (page) => {
    const broken = linksOf(page).filter(
      ([file, anchor]) =>
        !existsSync(join(root, file)) || (anchor !== undefined && !anchorsOf(file).includes(anchor)),
    );
    expect(broken).toEqual([]);
  },
);

test('README.md leads to every page of docs', () => {
  const linked = new Set(linksOf('README.md').map(([file]) => file));
  expect(docs.length).toBeGreaterThan(8);
  expect(docs.filter((page) => !linked.has(page))).toEqual([]);
});

test('docs/troubleshooting.md names only codes and verbs that there are', () => {
  const page = read('docs/troubleshooting.md');
  const codes = [...new Set(page.match(/\bERR_\w+/g))];
  expect(codes.length).toBeGreaterThan(10);
  expect(codes.filter((code) => !read('docs/errors.md').includes(`| \`${code}\` |`))).toEqual([]);
  const verbs = VERBS.flatMap((one) => ('verbs' in one ? one.verbs : [one])).map(({ name }) => name);
  const named = [...page.matchAll(/\bmillrace ((?:log )?[a-z]+)/g)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !verbs.includes(name))).toEqual([]);
});
