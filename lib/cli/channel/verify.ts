import { type Verification, type VerifyOptions, verify as verifyChannel } from '../../index.js';
import { UsageError, type Verb } from '../command.js';
import { verifyEach } from '../verifying.js';
import { count, plural, size, toJson, visible } from '../words.js';
import { refuseLog } from './log-instead.js';

export const verify: Verb = {
  name: 'verify',
  summary: 'look through all of a channel for damage',
  help: `millrace verify PATH… [--json]

Looks through each channel, header, marks, every record and its checksum, and how it ends, and tells every fault with its
position. Exits with 1 where there is one. A channel that is being written is looked through as far as it has come. What a
machine that went down had not brought to the disk is no fault: it is told apart. Nothing in the channel changes.

  --json    an object a line, with all faults

Examples
  millrace verify /var/lib/app/journal
  millrace verify /var/lib/app/*.mr --json | jq 'select(.sound | not)'`,
  options: { json: { type: 'boolean' } },
  async run(values, paths, output) {
    if (paths.length === 0) throw new UsageError('verify: which channel?', 'verify');
    const show = values.json === true ? (found: Verification) => [toJson(found)] : asText;
    return verifyEach(paths, look, show, output);
  },
};

function look(path: string, options: VerifyOptions): Promise<Verification> {
  refuseLog(path, 'verify');
  return verifyChannel(path, options);
}

function asText(found: Verification): string[] {
  const { path, sound, faults, status, records, checked, from, end, marks, cutOffAt } = found;
  const lines = faults.map(({ code, position, next, message }) => {
    const where = position === undefined ? '' : ` at ${position}`;
    const on = next === undefined ? '' : `; goes on at ${next}`;
    return `  ${code}${where}${on}: ${visible(message)}`;
  });
  if (status !== undefined) {
    lines.push(
      `  ${status}, ${plural(records, 'record')} in ${size(end - from)} of stream, ${count(checked)} of them by their ` +
        `checksum, ${plural(marks, 'mark')}`,
    );
  }
  if (cutOffAt !== undefined) {
    lines.push(`  its machine went down: what was synced is here; it can be resumed at ${cutOffAt}`);
  }
  return [`${visible(path)}: ${sound ? 'sound' : plural(faults.length, 'fault')}`, ...lines];
}
