import { cpSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

afterEach(() => {
  vi.restoreAllMocks();
});

type Call = (...given: unknown[]) => never;

/** From the call of this number on. */
function fail(what: 'openFile' | 'populateFile', from: number): void {
  const native = binding() as unknown as Record<typeof what, Call>;
  const goesWell = native[what];
  let calls = 0;
  vi.spyOn(native, what).mockImplementation((...given) => {
    if (calls++ < from) return goesWell(...given);
    throw Object.assign(new Error('not now'), { code: 'EMFILE', errno: -24, syscall: 'open' });
  });
}

/** Opens a log again and again, with one more that goes well each time; resolves with what was found in the end, each time. */
async function foundBehindFailures(
  makeLog: () => Promise<string>,
  options: LogOptions,
  what: 'openFile' | 'populateFile',
) {
  const found: Pick<Log, 'next' | 'recovery'>[] = [];
  for (let goesWell = 0; ; goesWell++) {
    const directory = await makeLog();
    fail(what, goesWell);
    const opened = await Log.open(directory, options).catch((error) => {
      expect(error).toMatchObject({ code: 'ERR_SYSTEM' });
    });
    vi.restoreAllMocks();
    await opened?.close();
    if (opened !== undefined) return found;
    await using again = await Log.open(directory, options);
    const { next, recovery } = again;
    found.push({ next, recovery });
  }
}

/** What is left of it is one segment, of which nothing had reached the disk when the machine went down. */
async function unwrittenLog(options: LogOptions): Promise<string> {
  const directory = newDirectory();
  const log = await Log.open(directory, options);
  while (log.segments().length < 2) await log.appendAsync(Buffer.alloc(3600));
  const [first, last] = log.segments();
  await log.close();
  rmSync(first.path);
  writeFileSync(last.path, Buffer.alloc(statSync(last.path).size));
  return directory;
}

describe.each(['exclusive', 'shared'] as const)(
  'a log that could not be opened for a while: %s',
  (writers) => {
    test.each(['close', 'process'] as const)(
      'is found as it was left behind the %s of its writer',
      async (after) => {
        const options: LogOptions = { writers, sync: 'commit', segment: '16KiB' };
        const directory = newDirectory();
        const log = await Log.open(directory, { ...options, sync: 'none' });
        for (let i = 0; i < 10; i++) await log.appendAsync(Buffer.alloc(3600));
        const killed = newPath();
        cpSync(directory, killed, { recursive: true });
        await log.close();
        const copy = async () => {
          const path = newPath();
          cpSync(after === 'close' ? directory : killed, path, { recursive: true });
          return path;
        };
        const found = [
          ...(await foundBehindFailures(copy, options, 'openFile')),
          ...(await foundBehindFailures(copy, options, 'populateFile')),
        ];
        expect(found.length).toBeGreaterThan(5);
        for (const { next, recovery } of found)
          expect([next, recovery]).toMatchObject([10, { after, dropped: 0 }]);
      },
    );

    test('can be opened then also where it had begun anew', async () => {
      const options: LogOptions = { writers, sync: 'commit', segment: '16KiB' };
      const found = await foundBehindFailures(() => unwrittenLog(options), options, 'openFile');
      expect(found.length).toBeGreaterThan(3);
      expect(new Set(found.map(({ next }) => next)).size).toBe(1);
    });
  },
);

test('several append to a log that begins anew where nothing of it had reached the disk', async () => {
  const options: LogOptions = { writers: 'shared', segment: '16KiB', sync: 'none' };
  const directory = await unwrittenLog(options);
  await using one = await Log.open(directory, options);
  expect(one.recovery).toMatchObject({ after: 'machine' });
  await using other = await Log.open(directory, options);
  const base = one.next;
  for (const [i, log] of [one, other, one].entries()) expect(await log.appendAsync('x')).toBe(base + i);
});
