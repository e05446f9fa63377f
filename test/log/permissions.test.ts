import { chmodSync, chownSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { Child } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { asNobody, isRoot } from '../helpers/nobody.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';

const NOBODY = 65534;

/** A log of some segments with a cursor, some of which were compacted; others may look into its directory. */
async function manyFiles(options: LogOptions): Promise<string> {
  const directory = newDirectory();
  for (const path of [directory, dirname(directory)]) chmodSync(path, 0o755);
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
  while (log.segments().length < 4) log.append({ key: `key ${log.next % 5}`, value: 'x'.repeat(500) });
  await log.cursor('mine').set(log.next);
  await log.compact();
  log.append({ value: 'the last one' });
  await log.close();
  return directory;
}

const modesOf = (directory: string) =>
  Object.fromEntries(
    readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mode & 0o777]),
  );

test.each([
  [undefined, 0o600],
  [0o640, 0o640],
  [0o666, 0o644],
])('with fileMode %o all files have %o, less the umask', async (fileMode, expected) => {
  const umask = process.umask(0o022);
  try {
    const directory = await manyFiles({ fileMode });
    const modes = modesOf(directory);
    expect(Object.keys(modes)).toHaveLength(6);
    expect(Object.keys(modes)).toEqual(expect.arrayContaining(['log.lock', 'cursors.mr']));
    expect(new Set(Object.values(modes))).toEqual(new Set([expected]));
  } finally {
    process.umask(umask);
  }
});

test('whoever goes on with a log makes files as those are that are there, and so are notes of what is set aside', async () => {
  const umask = process.umask(0o022);
  try {
    const directory = await manyFiles({ fileMode: 0o640 });
    const there = readdirSync(directory);
    writeFileSync(join(directory, 'foreign'), 'not of the log', { mode: 0o604 });
    await using log = await Log.open(directory, { segment: '16KiB' });
    for (const { length } = log.segments(); log.segments().length < length + 2; ) log.append('x'.repeat(500));
    await log.close();
    const modes = modesOf(directory);
    expect(Object.keys(modes).length).toBeGreaterThan(there.length);
    expect(modes).toEqual(
      Object.fromEntries(Object.keys(modes).map((name) => [name, name === 'set-aside' ? 0o755 : 0o640])),
    );
    expect(modesOf(join(directory, 'set-aside'))).toEqual({ foreign: 0o604, 'foreign.why': 0o640 });
  } finally {
    process.umask(umask);
  }
});

test('who is killed as a segment takes the place of another one leaves it to whom that was open', async () => {
  const directory = newDirectory();
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none', fileMode: 0o644 });
  while (log.segments().length < 4) log.append({ key: `key ${log.next % 5}`, value: 'x'.repeat(500) });
  await log.close();
  const child = new Child(
    '../../log/fixtures/compacting-child.js',
    { directory, open: { segment: '16KiB' }, nowUs: Date.now() * 1000, die: { step: 56, nth: 2 } },
    { steps: true },
  );
  expect((await child.exit).signal).toBe('SIGKILL');
  const modes = modesOf(directory);
  expect(Object.keys(modes)).toHaveLength(5);
  expect(new Set(Object.values(modes))).toEqual(new Set([0o644]));
});

test('what repair begins anew, as nothing can be read, is open to whom the log was', async () => {
  const directory = await manyFiles({ fileMode: 0o644 });
  const segments = readdirSync(directory).filter((name) => name.endsWith('.mr') && name !== 'cursors.mr');
  for (const name of segments) truncateSync(join(directory, name), 4096);
  const { setAside } = await Log.repair(directory);
  expect(setAside.map(({ name }) => name).sort()).toEqual(segments);
  const modes = modesOf(directory);
  const begun = Object.keys(modes).filter((name) => /^\d+\.mr$/.test(name));
  expect(begun).toHaveLength(1);
  expect(segments).not.toContain(begun[0]);
  expect(modes[begun[0]]).toBe(0o644);
});

test.each([-1, 0o1000, 0.5, '640'])('fileMode %s is none', async (fileMode) => {
  const directory = newDirectory();
  const error = await failure(() => Log.open(directory, { fileMode } as LogOptions));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('0o640') });
  expect(readdirSync(directory)).toEqual([]);
});

describe.skipIf(!isRoot)('somebody else (needs root, to become that)', () => {
  test('who may read the files reads the log, and changes nothing; to append is refused', async () => {
    const directory = await manyFiles({ fileMode: 0o644 });
    const before = contentsOf(directory);
    const seen = asNobody(`
      const path = ${JSON.stringify(directory)};
      const log = await Log.open(path, { readOnly: true });
      const values = [];
      for await (const { value } of log.read()) values.push(String(value));
      const { next, hasWriter } = log;
      const cursors = log.cursors();
      await log.close();
      const { sound } = await Log.verify(path);
      const refused = [
        await outcome(() => Log.open(path)),
        await outcome(() => Log.open(path, { writers: 'exclusive', readOnly: false })),
        await outcome(() => Log.repair(path)),
        await outcome(() => Log.open(path + '/new')),
      ].map(({ code }) => code);
      return { last: values.at(-1), next, hasWriter, cursors, sound, refused };
    `);
    expect(seen).toMatchObject({ last: 'the last one', hasWriter: false, sound: true });
    expect(seen.cursors).toEqual([{ name: 'mine', offset: seen.next - 1, lag: 1 }]);
    expect(seen.refused).toEqual(Array(4).fill('ERR_PERMISSION'));
    expect(contentsOf(directory)).toEqual(before);
  });

  test('who may not is told which file that is', async () => {
    const directory = await manyFiles({});
    const refused = asNobody(`
      const path = ${JSON.stringify(directory)};
      return [
        await outcome(() => Log.open(path, { readOnly: true })),
        await outcome(() => Log.open(path)),
        await outcome(() => Log.repair(path)),
      ];
    `);
    const [lock, segment] = ['log.lock', '00000000000000000000.mr'].map((name) => join(directory, name));
    expect(refused).toMatchObject([lock, lock, segment].map((path) => ({ code: 'ERR_PERMISSION', path })));
  });

  test('who compacts, and is of the group only, leaves all that they may do to those of it', async () => {
    const directory = newDirectory();
    for (const path of [directory, dirname(directory)]) chmodSync(path, 0o777);
    const log = await Log.open(directory, { segment: '16KiB', sync: 'none', fileMode: 0o660 });
    while (log.segments().length < 4) log.append({ key: `key ${log.next % 5}`, value: 'x'.repeat(500) });
    await log.close();
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o660);
    for (const name of readdirSync(directory)) chownSync(join(directory, name), 1, NOBODY);
    const { segments } = asNobody(`
      const log = await Log.open(${JSON.stringify(directory)}, { sync: 'none' });
      const compacted = await log.compact();
      await log.close();
      return compacted;
    `);
    expect(segments).toBe(3);
    for (const name of readdirSync(directory)) {
      const { mode, gid } = statSync(join(directory, name));
      expect([mode & 0o777, gid]).toEqual([0o660, NOBODY]);
    }
  });

  test.each([
    ['all that its owner may, takes that on', 0o660, NOBODY, true],
    ['less than its owner, is refused', 0o646, NOBODY, false],
    ['nothing more than anybody, is refused', 0o666, 1, false],
  ])(
    'who sets one more cursor than there is room for, and may do by the group %s',
    async (_, mode, gid, isReplaced) => {
      const directory = newDirectory();
      for (const path of [directory, dirname(directory)]) chmodSync(path, 0o777);
      const log = await Log.open(directory, { sync: 'none', fileMode: 0o666 });
      for (let i = 0; i < 64; i++) await log.cursor(`cursor-${i}`).set(0);
      await log.close();
      const path = join(directory, 'cursors.mr');
      chownSync(path, 1, gid);
      chmodSync(path, mode);
      const outcome = asNobody(`
      const log = await Log.open(${JSON.stringify(directory)}, { readOnly: 'records' });
      try {
        return await outcome(async () => { await log.cursor('one-more').set(0); return {}; });
      } finally {
        await log.close();
      }
    `);
      expect(outcome.code).toBe(isReplaced ? undefined : 'ERR_PERMISSION');
      const after = statSync(path);
      expect(after).toMatchObject({ uid: isReplaced ? NOBODY : 1, gid });
      expect(after.mode & 0o777).toBe(mode);
      expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
    },
  );

  test('what root repairs stays theirs whose the log is', async () => {
    for (const spoil of [rmSync, (path: string) => writeFileSync(path, 'broken')]) {
      const directory = await manyFiles({ fileMode: 0o640 });
      for (const name of readdirSync(directory)) chownSync(join(directory, name), NOBODY, NOBODY);
      chownSync(directory, NOBODY, NOBODY);
      spoil(join(directory, 'log.lock'));
      await Log.repair(directory);
      expect(statSync(join(directory, 'log.lock'))).toMatchObject({ uid: NOBODY, gid: NOBODY });
      const appended = asNobody(`
        const log = await Log.open(${JSON.stringify(directory)}, { sync: 'none' });
        const { next } = log;
        const offset = log.append('theirs');
        await log.close();
        return offset === next;
      `);
      expect(appended).toBe(true);
    }
  });
});
