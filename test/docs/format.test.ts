import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as layout from '../../lib/channel/layout.js';
import { Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';

const page = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8');

/** The offsets in the first column of the first table under a heading. */
function offsetsUnder(heading: string): number[] {
  const from = page.indexOf(`\n## ${heading}\n`);
  if (from < 0) throw new Error(`docs/format.md has no heading '${heading}'`);
  const section = page.slice(from, page.indexOf('\n## ', from + 1));
  return [...section.matchAll(/^\| (\d+) \|/gm)].map(([, offset]) => Number(offset));
}

const HEADINGS = ['Static part', 'Mutable words', 'Reader table', 'Marks', 'Frames'];

function headingOf(name: string, offset: number): string {
  if (name.startsWith('SLOT_')) return 'Reader table';
  if (/^MARK_(SEQUENCE|POSITION|RECORD|TIME|CRC)_/.test(name)) return 'Marks';
  if (/^FRAME_(LENGTH|KIND|STAMP|CRC|TIME|TAG)_/.test(name)) return 'Frames';
  return offset < layout.STATE_OFFSET ? 'Static part' : 'Mutable words';
}

test.each(HEADINGS)('docs/format.md names every offset of the code: %s', (heading) => {
  const documented = offsetsUnder(heading);
  const offsets = (Object.entries(layout) as [string, number][]).filter(
    ([name, offset]) => name.endsWith('_OFFSET') && headingOf(name, offset) === heading,
  );
  expect(offsets.length).toBeGreaterThan(3);
  for (const [name, offset] of offsets) expect(documented, name).toContain(offset);
});

describe('the C reader of docs/format.md, built as it stands there', () => {
  // Not in this run's own directory: a container's /dev/shm lets nothing be executed.
  const directory = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  const program = join(directory, 'follow');
  afterAll(() => rmSync(directory, { recursive: true }));

  beforeAll(() => {
    const source = /^```c\n([\s\S]*?)^```$/m.exec(page)?.[1];
    if (source === undefined) throw new Error('docs/format.md has no C block');
    writeFileSync(`${program}.c`, source);
    execFileSync('cc', ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program, `${program}.c`]);
  });

  const follow = async (path: string) => (await promisify(execFile)(program, [path])).stdout;
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `record ${from + i}\n`).join('');

  test.each([
    ['ring', false],
    ['ring', true],
    ['linear', false],
    ['linear', true],
  ] as const)('reads a closed %s channel, timestamps: %s', async (mode, timestamps) => {
    const path = newPath();
    const writer = await Writer.create(path, { mode, timestamps, capacity: '64KiB', readers: 3 });
    for (let i = 0; i < 100; i++) writer.write(`record ${i}`);
    writer.writeBatch(Array.from({ length: 100 }, (_, i) => `record ${100 + i}`));
    writer.close();
    expect(await follow(path)).toBe(lines(0, 200));
  });

  test('reads what is left of a ring that went round many times, to its LINK', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '64KiB' });
    for (let i = 0; i < 50_000; i++) writer.write(`record ${i}`);
    writer.seal();
    const read = await follow(path);
    const first = Number(/^record (\d+)\n/.exec(read)?.[1]);
    expect(first).toBeGreaterThan(40_000);
    expect(read).toBe(lines(first, 50_000));
  });

  test('follows a live writer to its end', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '1MiB' });
    const reading = follow(path);
    for (let i = 0; i < 500; i++) {
      writer.write(`record ${i}`);
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    writer.close();
    expect(await reading).toBe(lines(0, 500));
  });
});
