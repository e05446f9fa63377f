import { afterEach, describe, expect, test } from 'vitest';
import { endAll } from '../crash/fixtures/child.js';
import { newPath } from '../helpers/run-directory.js';
import { beOvertaken, joinAgain, passMessages } from './fixtures/litmus.js';

// Two processes on one ring of 64 KiB, both without a pause: what the machine or the compiler would put in another
// order shows as a record that is not whole, not in its place, or not there. `npm run soak -- --ordering N` for longer.
const RECORDS = 1_000_000;

afterEach(endAll);

describe.each(['one', 'claim', 'batch'])('written by %s', (way) => {
  test.each([{ gate: true }, {}])(
    'a record that is seen is whole, by a reader opened with %o',
    async (reader) => {
      const { refusals } = await passMessages({ newPath, way, records: RECORDS, reader });
      // They did meet: the reader was the slower one at times.
      expect(refusals).toBeGreaterThan(0);
    },
  );

  test('a record that is overwritten is never given to a reader, and counted as lost', async () => {
    const { read, gaps } = await beOvertaken({ newPath, way, records: RECORDS });
    expect(read).toBeLessThan(RECORDS);
    expect(gaps).toBeGreaterThan(0);
  });

  test('a reader that joins at any time misses nothing from then on', async () => {
    const { joins } = await joinAgain({ newPath, way, records: RECORDS / 4 });
    expect(joins).toBeGreaterThan(100);
  });
});
