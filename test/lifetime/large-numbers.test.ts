import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { newPath } from '../helpers/run-directory.js';

const CHILD = fileURLToPath(new URL('./fixtures/large-numbers-child.js', import.meta.url));
const RECORDS = 10_000_000;

interface Measured {
  what: string;
  /** Records written or polled. */
  done: number;
  scavenges: number;
  others: number;
  bytes: number;
}

function measure(gate: boolean | undefined): Promise<Measured[]> {
  const given = JSON.stringify({ path: newPath(), records: RECORDS, gate });
  const child = fork(CHILD, [given], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const results: Measured[] = [];
  let ended = false;
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  child.on('message', (message: Measured | { ended: true }) => {
    if ('ended' in message) ended = true;
    else results.push(message);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (ended) resolve(results);
      else reject(new Error(`It ended with ${signal ?? code}: ${said}`));
    });
  });
}

// Numbers past 2^31 are where V8 allocates: for each record, each publication of the tail or each mark. Counted, not timed.
test.each([
  ['that is never evicted', true],
  ['as it is by default', undefined],
] as const)(
  'ten million records with large numbers, written, claimed and read by a reader %s, collect nothing',
  async (_, gate) => {
    const results = await measure(gate);
    expect(results.map(({ what }) => what)).toEqual([
      'tryWrite',
      'claim',
      'poll: a byte',
      'poll: an integer',
      'poll: nothing',
      'poll: a field',
      'poll: the type',
    ]);
    for (const { what, done, scavenges, others } of results) {
      expect({ what, scavenges, others }).toEqual({ what, scavenges: 0, others: 0 });
      // The last burst may go over it.
      expect(done).toBeGreaterThanOrEqual(RECORDS);
    }
  },
  180_000,
);
