import { expect, test } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { countScavenges } from './fixtures/allocations.js';

const CALLS = 10_000_000;

test.each([
  ['that is lent the mapping', { gate: true }],
  ['that is lent copies, since it may be evicted', {}],
])('writing, claiming and polling by a reader %s allocate nothing', async (_, reader) => {
  const { scavenges, collections } = await countScavenges({ newPath, calls: CALLS, reader });
  expect({ scavenges, collections }).toEqual({ scavenges: 0, collections: 0 });
});

test('a few bytes a call would be seen', async () => {
  const { scavenges } = await countScavenges({ newPath, calls: CALLS / 10, reader: {}, allocate: true });
  expect(scavenges).toBeGreaterThan(0);
});
