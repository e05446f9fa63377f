import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// The tree shows the architecture: what lies in a folder is built on the folders before it here, and on nothing behind it.
const LIB = fileURLToPath(new URL('../../lib', import.meta.url));
const LAYERS = [
  'channel/runtime',
  'channel/file',
  'channel/waiting',
  'channel/presence',
  'channel/records',
  'channel/recovery',
  'channel/reading',
  'channel/writing',
  'channel/inspection',
  'channel/segments',
  'channel/ends',
  'channel/many',
  'channel',
  'stream',
  'log/records',
  'log/files',
  'log/cursors',
  'log/reading',
  'log/writing',
  'log/opening',
  'log/upkeep',
  'log/repair',
  'log',
  'cli/channel',
  'cli/log',
  'cli/doctor',
  'cli/recording',
  'cli/top',
  'cli',
];
/** Files beside the folders that are built on them which are there for all of these. */
const FOR_ALL = [
  'errors.ts',
  'native.ts',
  'options.ts',
  'channel/layout.ts',
  'log/options.ts',
  'log/progress.ts',
  'log/stats.ts',
];
/** Of the command only what begins it, and the list of its verbs, are built on all of these. */
const isForAll = (path: string) =>
  FOR_ALL.includes(path) || (/^cli\/[^/]+$/.test(path) && !['cli/main.ts', 'cli/verbs.ts'].includes(path));
/** Folders whose own folders are layers, too. */
const DIVIDED = ['channel', 'log', 'cli'];

interface Import {
  from: string;
  to: string;
}

function folderOf(path: string): string {
  const [first, second, third] = path.split('/');
  if (second === undefined) return '.';
  return DIVIDED.includes(first) && third !== undefined ? `${first}/${second}` : first;
}

const imports: Import[] = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .flatMap((from) => {
    const text = readFileSync(join(LIB, from), 'utf8');
    return [...text.matchAll(/^(?:import|export|\}) .*?from '(\.[^']+)';$/gms)].map(([, specifier]) => ({
      from,
      to: relative(LIB, join(LIB, dirname(from), specifier)).replace(/\.js$/, '.ts'),
    }));
  })
  .filter(({ from, to }) => folderOf(from) !== folderOf(to) && !isForAll(to));

test('each folder is there, and built on another', () => {
  const folders = new Set(imports.map(({ from }) => folderOf(from)));
  expect([...folders].sort()).toEqual(
    ['.', ...LAYERS.filter((folder) => folder !== 'channel/runtime')].sort(),
  );
});

test('imports never run the other way', () => {
  const layerOf = (path: string) => LAYERS.indexOf(folderOf(path));
  const isRoot = ({ from }: Import) => folderOf(from) === '.';
  expect(imports.filter((one) => !isRoot(one) && layerOf(one.from) <= layerOf(one.to))).toEqual([]);
});

test('a folder is used by its index.ts alone', () => {
  const used = imports.filter(({ to }) => folderOf(to) !== '.');
  expect(used.filter(({ to }) => !to.endsWith('/index.ts'))).toEqual([]);
});
