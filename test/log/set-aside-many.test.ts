import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Directory } from '../../lib/log/files/directory.js';
import { SetAsideFolder } from '../../lib/log/files/set-aside.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';

vi.mock(import('node:fs'), async (original) => {
  const fs = await original();
  return { ...fs, readdirSync: vi.fn(fs.readdirSync) as unknown as typeof fs.readdirSync };
});

/** A log's directory, with files in it that are none of the log's. */
async function directoryWith(names: (string | Buffer)[]): Promise<string> {
  const directory = newDirectory();
  await (await Log.open(directory, { sync: 'none' })).close();
  for (const name of names) {
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]), 'x');
  }
  return directory;
}

const texts = (count: number) => Array.from({ length: count }, (_, i) => `foreign ${i}`);
const bytes = (count: number) => Array.from({ length: count }, (_, i) => Buffer.from([0xff, 65 + i]));

test.each([
  ['that are text', texts],
  ['that are not', bytes],
])('directories are listed no more often for many names %s than for two', async (_, names) => {
  const listings: number[] = [];
  for (const count of [2, 40]) {
    const directory = await directoryWith(names(count));
    vi.mocked(readdirSync).mockClear();
    const log = await Log.open(directory, { sync: 'none' });
    listings.push(vi.mocked(readdirSync).mock.calls.length);
    expect(log.recovery?.setAside).toHaveLength(count);
    await log.close();
  }
  expect(listings[1]).toBe(listings[0]);
});

test('what was set aside before keeps its name', async () => {
  const directory = await directoryWith(['foreign']);
  await (await Log.open(directory, { sync: 'none' })).close();
  writeFileSync(join(directory, 'foreign'), 'y');
  await using log = await Log.open(directory, { sync: 'none' });
  expect(log.recovery?.setAside).toMatchObject([{ path: join(directory, 'set-aside/foreign.1') }]);
});

test('the event loop has its turns while many are set aside', async () => {
  const names = texts(20);
  const folder = new SetAsideFolder(new Directory(await directoryWith(names)));
  let now = performance.now();
  // Each look at the clock is a turn later.
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 5));
  const seen: number[] = [];
  const watch = () => {
    seen.push(folder.all.length);
    if (folder.all.length < names.length) setImmediate(watch);
  };
  setImmediate(watch);
  await folder.moveAll(names, () => 'they are many');
  clock.mockRestore();
  expect(seen.length).toBeGreaterThan(names.length / 2);
});
