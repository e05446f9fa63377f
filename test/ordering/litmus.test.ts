import { afterEach, describe, expect, test } from 'vitest';
import { endAll } from '../crash/fixtures/child.js';
import { newPath } from '../helpers/run-directory.js';
import { beOvertaken, joinAgain, passMessages } from './fixtures/litmus.js';
import { sleepAgainstCommit } from './fixtures/sleep-against-commit.js';

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

describe.each(['waitSync', 'ready'])(
  'a reader that lies down by %s() just when a record is written',
  (how) => {
    // The same work each time; `npm run soak -- --parks N` has more of it.
    const given = { newPath, how, seed: 20_267 };

    test('sees the record, or is seen', async () => {
      const { parked, woken, late } = await sleepAgainstCommit({ ...given, rounds: 2000 });
      expect([woken, late]).toEqual([parked, 0]);
      // Both came about: it did sleep, and its last look did find something.
      expect(parked).toBeGreaterThan(100);
      expect(parked).toBeLessThan(1950);
    });

    const LOOKS = {
      ready: 'no look after the bit is set, in an event loop',
      waitSync: 'no look after the bit is set, in a blocked thread',
    };

    test('does neither at times where it does not look again', async () => {
      const lacking = [LOOKS[how as keyof typeof LOOKS]];
      const { late } = await sleepAgainstCommit({ ...given, rounds: 20_000, lacking, enough: 1 });
      expect(late).toBeGreaterThan(0);
    });
  },
);

// That it is missed where nobody makes it shows only by chance: `npm run soak -- --parks N` has that.
describe('a fence', () => {
  const given = { newPath, how: 'waitSync', seed: 20_267 };

  test('is made by a writer whose process could not join those for whom sleepers make it', async () => {
    const lacking = ['no fence', 'no joining'];
    const { parked, woken, late } = await sleepAgainstCommit({ ...given, rounds: 2000, lacking });
    expect([woken, late]).toEqual([parked, 0]);
    expect(parked).toBeGreaterThan(100);
  });
});
