import { expect, test, vi } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { bytesARecord, countCollections, countFullCollections } from './fixtures/allocations.js';

const RECORDS = 10_000_000;
const STEPS = [
  'tryWrite',
  'claim',
  'poll: a byte',
  'poll: some bytes',
  'poll: an integer',
  'poll: nothing',
  'poll: a field',
  'poll: the type',
  'many: by turns',
  'many: merged',
  'in turns',
];

// A hang guard: they take seconds.
vi.setConfig({ testTimeout: 180_000 });

// Numbers past 2^31 are where V8 allocates: for each record, each publication of the tail or each mark. Counted, not timed.
test.each([
  ['that is never evicted', true],
  ['as it is by default', undefined],
] as const)(
  'ten million records with large numbers, written, claimed and read by a reader %s, collect nothing',
  async (_, gate) => {
    const results = await countCollections({ path: newPath(), records: RECORDS, gate });
    expect(results.map(({ what, scavenges, others }) => ({ what, scavenges, others }))).toEqual(
      STEPS.map((what) => ({ what, scavenges: 0, others: 0 })),
    );
    // The last burst may go over it.
    for (const { done } of results) expect(done).toBeGreaterThanOrEqual(RECORDS);
  },
);

test('a few bytes a call would be seen', async () => {
  const options = { path: newPath(), records: RECORDS / 10, gate: undefined, allocate: true };
  const results = await countCollections(options);
  const seen = results.filter(({ scavenges }) => scavenges > 0);
  expect(seen.map(({ what }) => what)).toEqual([
    'poll: an allocation',
    'many: by turns',
    'many: merged',
    'in turns',
  ]);
});

// The time that it is appended is two numbers of V8's, of 16 bytes each: what Date.now() returns, and that in microseconds.
test('a record that is appended to a log by itself costs the heap its time, and no object', async () => {
  const found = await bytesARecord(newPath(), 100_000);
  expect(Object.keys(found)).toEqual(['bytes', 'text', 'described']);
  for (const bytes of Object.values(found)) expect(Math.floor(bytes)).toBeLessThanOrEqual(33);
});

// Since version 24 Node can't be told that what is mapped is no memory of the heap's.
const major = Number.parseInt(process.versions.node, 10);
test.skipIf(major >= 24)('a log goes from segment to segment without a full collection', async () => {
  const segments = 12;
  const usual = await countFullCollections({ path: newPath(), segments, segment: undefined });
  expect(usual).toEqual({ appending: 0, reading: 0 });
  const larger = await countFullCollections({ path: newPath(), segments, segment: '64MiB' });
  // It would be seen.
  expect(larger.appending).toBeGreaterThan(0);
});
