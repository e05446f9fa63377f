import type { Compacted } from '../../log/index.js';
import { countOption, type Verb } from '../command.js';
import { interruption } from '../interruption.js';
import { withProgress } from '../progress.js';
import { plural, size, toJson } from '../words.js';
import { logPath } from './channel-instead.js';
import { openToWrite } from './open.js';

const DAY_MS = 86_400_000;

export const compact: Verb = {
  name: 'log compact',
  summary: 'take out of a log what later records with the same key took the place of',
  help: `millrace log compact DIRECTORY [--tombstones MS] [--json]

Takes away of each key all values but the last, what has expired, and what says that a key is gone, where that is old enough.
Offsets stay as they are. What the lowest named cursor has still to read stays, and so does the last segment.
It needs the log for itself, unless that is shared: a live writer compacts it as its own options say. Interrupted, it leaves
the log whole, compacted as far as it came; the exit code is 1.

  --tombstones MS  how old what says that a key is gone becomes, so that all who read hear of it (${DAY_MS}: a day)
  --json           an object: how many segments were written anew, how many records are gone, how many bytes were given back

Examples
  millrace log compact /var/lib/app/accounts
  millrace log compact /var/lib/app/accounts --tombstones 604800000 --json`,
  options: { tombstones: { type: 'string' }, json: { type: 'boolean' } },
  async run(values, paths, output) {
    const path = logPath(compact, paths, 'stat');
    const tombstonesMs = countOption(compact, values, 'tombstones', 0, DAY_MS);
    const signal = interruption();
    await using log = await openToWrite(compact, path, { compaction: { tombstonesMs }, signal });
    const done = await withProgress(log.path, (onProgress) => log.compact({ signal, onProgress }));
    output.line(values.json === true ? toJson(done) : asText(done));
    return true;
  },
};

function asText({ segments, records, bytes }: Compacted): string {
  if (segments === 0) return 'there was nothing to take away';
  return `took ${plural(records, 'record')} out of ${plural(segments, 'segment')}, and gave ${size(Math.max(0, bytes))} back`;
}
