import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { CursorFile } from '../../lib/log/cursors/cursor-file.js';
import { CursorName } from '../../lib/log/cursors/cursor-name.js';
import { Child, endAll, turn } from '../crash/fixtures/child.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { failure } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { perform, readLedger, script, stateAfter } from './fixtures/cursor-work.js';

const SEED = 4711;
const KILLS = 12;
const STEPS = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109];
const CHILD = '../../log/fixtures/cursor-child.js';

// A hang guard: they take seconds, but each has many processes to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

const stateOf = (file: CursorFile) => new Map(file.list().map(({ name, offset }) => [name, offset]));

async function start(options: object, steps: boolean): Promise<Child> {
  const child = new Child(CHILD, options, { steps });
  await child.expect('open');
  child.send('go');
  return child;
}

const kills = [
  ...STEPS.map((step) => ({ step, nth: 1 })),
  ...[102, 104, 105].flatMap((step) => [2, 5, 70].map((nth) => ({ step, nth }))),
  { step: 103, nth: 2 },
  { step: 109, nth: 2 },
];

test.each(kills)(
  'killed at step $step, time $nth: each cursor is as it was or as it was to be',
  async (die) => {
    const directory = newDirectory();
    const ledger = newPath();
    const watching = new CursorFile(directory, { readOnly: true });
    const child = await start({ directory, ledger, script: 0, die }, true);
    const { signal } = await child.exit;
    child.throwIfFailed();
    expect(signal).toBe('SIGKILL');
    const operation = readFileSync(ledger)[0];
    const left = stateOf(watching);
    const after = stateAfter(operation + 1);
    const isDone =
      left.size === after.size && [...after].every(([name, offset]) => left.get(name) === offset);
    expect(left).toEqual(isDone ? after : stateAfter(operation));
    // The next one does the rest.
    const file = new CursorFile(directory);
    const rest = script.slice(operation + (isDone ? 1 : 0));
    for (const change of rest) await perform(file, CursorName, change);
    for (const one of [file, watching]) expect(stateOf(one)).toEqual(stateAfter(script.length));
    expect(readdirSync(directory)).toEqual(['cursors.mr']);
    await Promise.all([file.close(), watching.close()]);
  },
);

test.each([
  { step: 104, where: 'storing' },
  { step: 107, where: 'putting a larger file in the place of the old one' },
])(
  'one that stands still while $where is waited for no longer than one likes, nor once it is dead',
  async ({ step }) => {
    const directory = newDirectory();
    const child = await start({ directory, ledger: newPath(), script: 0, stop: { step } }, true);
    await child.expect('stopping');
    await child.stopped();
    const file = new CursorFile(directory);
    const before = stateOf(file);
    const a = new CursorName('a');
    expect(await failure(async () => file.set(a, 1000, false, { timeoutMs: 20 }))).toMatchObject({
      code: 'ERR_TIMEOUT',
    });
    expect(stateOf(file)).toEqual(before);
    const set = Promise.resolve(file.set(a, 1000, false));
    const closed = file.close();
    await child.end();
    expect(await set).toBe(1000);
    await closed;
    const later = new CursorFile(directory);
    expect(stateOf(later)).toEqual(before.set('a', 1000));
    expect(readdirSync(directory)).toEqual(['cursors.mr']);
    await later.close();
  },
);

test('read while it is set as fast as can be: never back, never damaged', async () => {
  const directory = newDirectory();
  const name = new CursorName('fast');
  const watching = new CursorFile(directory, { readOnly: true });
  const child = await start({ directory, fast: 'fast' }, false);
  let last = 0;
  let values = 0;
  // On one cpu they take turns, so that there is a new value but once in milliseconds.
  for (let looks = 0; values < 1000 || looks < 1_000_000; looks++) {
    const offset = watching.get(name) ?? 0;
    if (offset < last) throw new Error(`It went back from ${last} to ${offset}`);
    if (offset > last) values++;
    last = offset;
    if (looks % 10_000 === 0) await turn();
    child.throwIfFailed();
  }
  await child.end();
  await watching.close();
});

test('killed at any time, several on the same cursors: offsets never go back, and never beyond what was set', async () => {
  const random = randomOf(SEED);
  const children = 3;
  const names = ['one', 'two', 'three'];
  const directory = newDirectory();
  const ledger = join(newDirectory(), 'ledger');
  writeFileSync(ledger, Buffer.alloc(4096));
  const watching = new CursorFile(directory, { readOnly: true });
  const cursors = names.map((name) => new CursorName(name));
  const seen = names.map(() => 0);
  let looks = 0;
  const look = () => {
    looks++;
    for (const [i, cursor] of cursors.entries()) {
      const offset = watching.get(cursor) ?? 0;
      if (offset < seen[i]) throw new Error(`${names[i]} went back from ${seen[i]} to ${offset}`);
      seen[i] = offset;
    }
  };
  const spawn = (child: number, seed: number) => start({ directory, ledger, names, child, seed }, false);
  const living = await Promise.all(
    Array.from({ length: children }, (_, child) => spawn(child, SEED + child)),
  );
  let moved = 0;
  for (let count = 0; count < KILLS; count++) {
    const before = [...seen];
    const until = performance.now() + 5 + random(40);
    // It is to have done something before it dies.
    while (performance.now() < until || seen.every((offset, i) => offset === before[i])) {
      look();
      for (const child of living) child.throwIfFailed();
      await turn();
    }
    const victim = random(children);
    await living[victim].end();
    if (seen.some((offset, i) => offset > before[i])) moved++;
    for (const [i, cursor] of cursors.entries()) {
      const { done } = readLedger(ledger, i, children);
      // One of them may not have been set by then.
      const offset = watching.get(cursor) ?? 0;
      // Looked at after it: the others go on.
      const { intended } = readLedger(ledger, i, children);
      expect(offset).toBeGreaterThanOrEqual(done);
      expect(offset).toBeLessThanOrEqual(intended);
    }
    living[victim] = await spawn(victim, SEED + 100 + count);
  }
  for (const child of living) await child.end();
  look();
  for (const [i, cursor] of cursors.entries()) {
    const { done, intended } = readLedger(ledger, i, children);
    expect(watching.get(cursor)).toBeGreaterThanOrEqual(done);
    expect(watching.get(cursor)).toBeLessThanOrEqual(intended);
  }
  expect(moved).toBe(KILLS);
  expect(watching.list().every(({ name, offset }) => name !== undefined && offset !== undefined)).toBe(true);
  // It grew, since there were more than 64.
  expect(watching.list().length).toBeGreaterThan(64);
  console.log(`${KILLS} kills, ${looks} looks, cursors at ${seen.join(', ')}`);
  await watching.close();
});
