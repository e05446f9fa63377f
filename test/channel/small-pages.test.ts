import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';

// On a disk: what is in memory only is written nowhere.
const directory = mkdtempSync(join(tmpdir(), 'millrace-small-pages-'));
const MIB = 2 ** 20;
const COMMITS = 50;
const RECORD = Buffer.alloc(100, 1);
const LARGE = Buffer.alloc(60_000, 1);

afterAll(() => rmSync(directory, { recursive: true }));

/** Bytes of pages of files that this process made dirty so far, as the kernel counts them: a large page counts whole. */
function dirtied(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

async function dirtiedACommit(commit: () => Promise<unknown>): Promise<number> {
  await commit();
  const before = dirtied();
  for (let i = 0; i < COMMITS; i++) await commit();
  return (dirtied() - before) / COMMITS;
}

/** A page of records, and one that says how far they are on the disk; now and then a mark, and a new page. */
const FEW = 5 * 4096;

const before = dirtied();
const probe = await Writer.create(join(directory, 'probe'), { mode: 'linear', capacity: '64KiB' });
probe.close();
const isDisk = dirtied() > before;

describe.skipIf(!isDisk)(
  'a commit far inside a file makes some pages dirty, and not all that lies around them (on a disk)',
  () => {
    test('of a channel', async () => {
      using writer = await Writer.create(join(directory, 'channel'), {
        mode: 'linear',
        capacity: 64 * MIB,
        sync: 'commit',
      });
      while (writer.position < 45 * MIB) writer.write(LARGE);
      await writer.flush();
      expect(await dirtiedACommit(() => writer.send(RECORD))).toBeLessThan(FEW);
    });

    test('of a segment that was made at once, and of one that is gone on with', async () => {
      const path = join(directory, 'log');
      // Too large for what a log begins with. All is within half of the segment: then none is made ahead beside it.
      const log = await Log.open(path, { sync: 'commit', segment: '64MiB' });
      log.append(Buffer.alloc(15 * MIB, 1));
      for (let i = 0; i < 220; i++) log.append(LARGE);
      await log.flush();
      expect(await dirtiedACommit(() => log.commit(RECORD))).toBeLessThan(FEW);
      await log.close();
      await using again = await Log.open(path, { sync: 'commit', segment: '64MiB' });
      for (let i = 0; i < 30; i++) again.append(LARGE);
      await again.flush();
      expect(await dirtiedACommit(() => again.commit(RECORD))).toBeLessThan(FEW);
      expect(again.segments()).toHaveLength(1);
    });
  },
);
