import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const types = read('lib/errors.ts');
const union = /export type ErrorCode =([^;]*);/.exec(types)?.[1] ?? '';
const codes = [...union.matchAll(/'(ERR_\w+)'/g)].map(([, code]) => code);

const documented = [...read('docs/errors.md').matchAll(/^\| `(ERR_\w+)` \|/gm)].map(([, code]) => code);

const elsewhere = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && path !== 'errors.ts')
  .map((path) => read(join('lib', path)))
  .join('\n');

/** Codes that a function of errors.ts makes an error of, and that function's name. */
const makers = new Map(
  [...types.matchAll(/^export function (\w+)[\s\S]*?^}/gm)].flatMap(([body, name]) =>
    [...body.matchAll(/new MillraceError\(\s*'(ERR_\w+)'/g)].map(([, code]) => [code, name] as const),
  ),
);

test('docs/errors.md has one row for each code, in the order of the type, and no other', () => {
  expect(codes.length).toBeGreaterThan(20);
  expect(documented).toEqual(codes);
});

const rows = [...read('docs/errors.md').matchAll(/^\| `ERR_\w+` \|.*$/gm)].map(([row]) => row.split(' | '));
/** `cause` is every Error's; the others are named where the page says when there is a fact. */
const NO_FACTS = ['cause', 'send', 'commit'];
const promised = new Set(
  rows.flatMap(([, , fields]) => [...fields.matchAll(/`([a-z]\w*)`/g)].map(([, name]) => name)),
);
for (const name of NO_FACTS) promised.delete(name);

test('every fact that docs/errors.md promises is declared, and docs/api.md lists it', () => {
  const declaring = types + read('lib/channel/presence/table.ts');
  const declared = [...declaring.matchAll(/^ +(?:declare )?readonly (\w+)\?:/gm)].map(([, name]) => name);
  const [, list] = /facts, each where its code has it: ([^}]*)\n}/.exec(read('docs/api.md')) ?? [];
  const listed = list
    .replaceAll('// ', '')
    .replace('of logs ', '')
    .split(/[,;]\s+/);
  expect(declared.toSorted()).toEqual([...promised].toSorted());
  expect(listed.toSorted()).toEqual(declared.toSorted());
});

test.each(codes)('%s is thrown somewhere', (code) => {
  const made = new RegExp(`new MillraceError\\(\\s*'${code}'`).test(elsewhere);
  const maker = makers.get(code);
  expect(made || (maker !== undefined && new RegExp(`\\b${maker}\\(`).test(elsewhere))).toBe(true);
});

test('guarantees.md names tests that exist', () => {
  const page = read('docs/guarantees.md');
  const named = [...new Set([...page.matchAll(/`(test\/[\w/.-]+\.ts)`/g)].map(([, path]) => path))];
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
