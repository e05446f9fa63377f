import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { textOf } from '../../lib/log/files/file-name.js';
import { Log } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

const OPTIONS = { segment: '16KiB', sync: 'none' } as const;

/** A closed log with files in its directory that have these names; what is in each is its name. */
async function logWith(names: Buffer[]): Promise<string> {
  const directory = newDirectory();
  await using log = await Log.open(directory, OPTIONS);
  log.append('one');
  for (const name of names) writeFileSync(pathOf(directory, name), name);
  return directory;
}

function pathOf(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

const WAYS = {
  opening: async (directory: string) => {
    await using log = await Log.open(directory, OPTIONS);
    expect(log.append('two')).toBe(1);
    return log.recovery?.setAside ?? [];
  },
  repairing: async (directory: string) => (await Log.repair(directory)).setAside,
};

const long = (end: string) => 'n'.repeat(255 - Buffer.byteLength(end)) + end;

const NAMES: [string, Buffer[]][] = [
  ['just short enough for a note', [Buffer.from('n'.repeat(251))]],
  ['too long for a note', [Buffer.from('n'.repeat(252))]],
  ['that shorten to the same', ['', '.txt', '.why', 'ab', 'ac'].map((end) => Buffer.from(long(end)))],
  ['that are cut within a character', ['é', 'xé', '€', 'x€', '😀'].map((one) => Buffer.from(one.repeat(63)))],
  ['that are not UTF-8', [Buffer.from([0xff]), Buffer.from([0x61, 0xfe]), Buffer.from('café', 'latin1')]],
  ['that are replaced by the same', [Buffer.from([0xff]), Buffer.from([0xfe]), Buffer.from('\ufffd')]],
  ['like what others are told as', [Buffer.from([0xff]), Buffer.from('\\xff'), Buffer.from('a\\b')]],
  [
    'too long, and not UTF-8',
    [Buffer.alloc(255, 0xff), Buffer.concat([Buffer.alloc(254, 0xff), Buffer.from('x')])],
  ],
];

test.each(
  Object.keys(WAYS).flatMap((way) =>
    NAMES.map(([what, names]) => [way as keyof typeof WAYS, what, names] as const),
  ),
)('%s sets aside names %s', async (way, _, names) => {
  const directory = await logWith(names);
  const setAside = await WAYS[way](directory);
  expect(setAside.map(({ name }) => name).toSorted()).toEqual(names.map(textOf).toSorted());
  const contents = setAside.map(({ path }) => readFileSync(path, 'latin1'));
  expect(contents.toSorted()).toEqual(names.map((name) => name.toString('latin1')).toSorted());
  for (const { name, path, reason } of setAside) {
    const isSame = readFileSync(path).equals(Buffer.from(path.slice(join(directory, 'set-aside/').length)));
    const called = isSame ? '' : `It was called ${name}\n`;
    expect(readFileSync(`${path}.why`, 'utf8').replace(/^\S+ /, '')).toBe(`${reason}\n${called}`);
  }
  expect(readdirSync(join(directory, 'set-aside')).length).toBe(names.length * 2);
  expect((await Log.verify(directory)).foreign).toEqual([]);
});

test('who reads and who verifies leaves such names as they are, and verifying tells them', async () => {
  const names = [Buffer.from(long('')), Buffer.from([0x61, 0xff])];
  const directory = await logWith(names);
  const before = readdirSync(directory, 'latin1');
  await using log = await Log.open(directory, { readOnly: true });
  expect(log.next).toBe(1);
  expect((await log.verify()).foreign.toSorted()).toEqual(['a\\xff', long('')]);
  expect(readdirSync(directory, 'latin1')).toEqual(before);
});

test('each name has a text of its own among those that are not UTF-8', () => {
  const texts: [number[], string][] = [
    [[0xff], '\\xff'],
    [[0x5c, 0x78, 0x66, 0x66, 0xff], '\\\\xff\\xff'],
    [[0xc3, 0xa9, 0xc3], 'é\\xc3'],
    [[0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f], '😀\\xf0\\x9f'],
  ];
  for (const [bytes, text] of texts) expect(textOf(Buffer.from(bytes))).toBe(text);
  expect(textOf(Buffer.from('\\xff'))).toBe('\\xff');
});

test.each(Object.keys(WAYS) as (keyof typeof WAYS)[])(
  '%s with something else called set-aside says what to do',
  async (way) => {
    const directory = await logWith([Buffer.from('notes'), Buffer.from('set-aside')]);
    const path = join(directory, 'set-aside');
    const refused = await failure(() => WAYS[way](directory));
    expect(refused).toMatchObject({ code: 'ERR_EXISTS', path });
    expect(refused.message).toBe(
      `${path} is no directory, so nothing that is no part of the log can be put there: move it away, or rename it`,
    );
    expect(readFileSync(path, 'utf8')).toBe('set-aside');
    rmSync(path);
    expect((await WAYS[way](directory)).map(({ name }) => name)).toEqual(['notes']);
  },
);
