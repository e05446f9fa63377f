import type { VerifyOptions } from '../../index.js';
import { Log, type LogVerification } from '../../log/index.js';
import { UsageError, type Verb } from '../command.js';
import { verifyEach } from '../verifying.js';
import { offsets, plain, plural, toJson, visible } from '../words.js';
import { refuseChannel } from './channel-instead.js';
import { faultText } from './fault-text.js';

export const verify: Verb = {
  name: 'log verify',
  summary: 'look through all of a log for damage',
  help: `millrace log verify DIRECTORY… [--json]

Looks through all of a log: each segment with every record and its checksum, whether they follow one another, the lock file, and
the named cursors. Tells every fault with its file, its position, and the offsets that can't be read for it. Exits with 1 where
there is one. Nothing in the log changes, and its writer does not notice. What a machine that went down had not brought to the
disk is no fault: it is told apart. log repair makes a damaged log one that can be gone on with.

  --json    an object a line, with all faults

Examples
  millrace log verify /var/lib/app/events
  millrace log verify /var/lib/app/* --json | jq 'select(.sound | not) | .path'`,
  options: { json: { type: 'boolean' } },
  async run(values, paths, output) {
    if (paths.length === 0) throw new UsageError('log verify: which log?', 'log verify');
    const show = values.json === true ? (found: LogVerification) => [toJson(found)] : asText;
    return verifyEach(paths, look, show, output);
  },
};

function look(path: string, options: VerifyOptions): Promise<LogVerification> {
  refuseChannel(path, 'verify');
  return Log.verify(path, options);
}

function asText(found: LogVerification): string[] {
  const { path, sound, faults, segments, records, checked, foreign, cutOffAt } = found;
  const lines = [
    `${visible(path)}: ${sound ? 'sound' : plural(faults.length, 'fault')}`,
    ...faults.map(faultText),
    `  ${plain(records, 'record')} in ${plain(segments, 'segment')}, ${checked} of them by their checksum; ${offsetsText(found)}`,
  ];
  if (cutOffAt !== undefined) {
    lines.push(
      `  its machine went down: what was synced is here; who opens it to append goes on at ${cutOffAt}`,
    );
  }
  if (foreign.length > 0) lines.push(`  not of the log: ${foreign.map(visible).join(', ')}`);
  return lines;
}

function offsetsText({ earliest, next, durable }: LogVerification): string {
  if (next <= earliest) return `the next offset is ${next}`;
  const synced = durable >= next ? 'all' : durable > earliest ? `up to ${durable - 1}` : 'none';
  return `${offsets(earliest, next)}, on the disk: ${synced}`;
}
