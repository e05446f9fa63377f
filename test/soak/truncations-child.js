/**
 * Shortens a closed channel with checksums, more each time, and opens it. Started by `runTruncations`; arguments of its
 * own: how many lengths of how many, and the bytes between two.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { declareAbandoned, inspect, Reader, Writer } from '../../dist/index.js';
import { attempt, directory, more, note, runCases, Wrong } from './cases.js';
import { makeClosed } from './templates.js';

const [chosen, lengths, step] = more.map(Number);
const path = join(directory, 'truncated');
const { bytes } = await makeClosed(path);
if (bytes.length !== lengths * step) throw new Error(`The channel has ${bytes.length} bytes`);
writeFileSync(path, bytes);

const OPENINGS = {
  inspect: () => inspect(path),
  'Reader.open': async () => (await Reader.open(path, { verify: true })).close(),
  'Reader.open, not registered': async () =>
    (await Reader.open(path, { verify: true, register: false, from: 'latest' })).close(),
  'Writer.resume': async () => (await Writer.resume(path)).close(),
  declareAbandoned: () => declareAbandoned(path),
};

await runCases(async (index) => {
  const length = Math.floor(((chosen - 1 - index) * lengths) / chosen) * step;
  note(`${length} bytes of ${bytes.length}`);
  truncateSync(path, length);
  for (const [name, open] of Object.entries(OPENINGS)) {
    const opened = await attempt(`${length} bytes of ${bytes.length}: ${name}`, open);
    if (opened) throw new Wrong('it was opened');
  }
  const left = readFileSync(path);
  if (!left.equals(bytes.subarray(0, length))) throw new Wrong('it was changed');
});
