import { Log, type LogRepair } from '../../log/index.js';
import type { Verb } from '../command.js';
import { interruption } from '../interruption.js';
import { withProgress } from '../progress.js';
import { offsets, plain, plural, toJson, visible } from '../words.js';
import { logPath } from './channel-instead.js';
import { faultText } from './fault-text.js';
import { besideWriter } from './open.js';

export const repair: Verb = {
  name: 'log repair',
  summary: 'make a damaged log one that can be read through and appended to',
  help: `millrace log repair DIRECTORY [--json]

Looks through all of a log as log verify does, and writes each damaged segment anew, of the records in it that are intact: they
keep their offsets. Files are put into the log's folder set-aside as they were found, each with a note that says why; nothing
is deleted. Which offsets no record has any more is told: who reads passes over them; of records that can't be read at the end
nobody knows how many they were, so as many are told as they can have been. A log that is sound is left as it is. Nobody may
have the log open to append. Interrupted, or killed, it leaves a log that can be repaired again. Exits with 0 once it is whole.

  --json    an object: the faults that were found, the offsets that are lost, what was written anew and what put aside

Examples
  millrace log repair /var/lib/app/events
  millrace log repair /var/lib/app/events --json | jq '.lost'`,
  options: { json: { type: 'boolean' } },
  async run(values, paths, output) {
    const path = logPath(repair, paths, 'verify');
    const signal = interruption();
    const done = await withProgress(path, (onProgress) => Log.repair(path, { signal, onProgress })).catch(
      (error) => {
        throw besideWriter(path, error);
      },
    );
    for (const line of values.json === true ? [toJson(done)] : asText(done)) output.line(line);
    return true;
  },
};

function asText({ path, faults, lost, rewritten, setAside, cursors }: LogRepair): string[] {
  const isLeft = faults.length === 0 && setAside.length === 0 && rewritten.length === 0;
  const most = lost.reduce((sum, { from, to }) => sum + to - from, 0);
  return [
    `${visible(path)}: ${isLeft ? 'sound, and left as it is' : `${plural(faults.length, 'fault')} found`}`,
    ...faults.map(faultText),
    ...rewritten.map((name) => `  written anew: ${name}`),
    ...setAside.map(
      ({ name, path, reason }) => `  put aside: ${visible(name)} to ${visible(path)}: ${visible(reason)}`,
    ),
    ...givenUp(cursors),
    ...(lost.length === 0
      ? []
      : [
          `  lost: ${lost.map(({ from, to }) => offsets(from, to)).join(', ')}; ${plain(most, 'record')} at most`,
        ]),
  ];
}

function givenUp(cursors: LogRepair['cursors']): string[] {
  const named = cursors.filter((name) => name !== undefined);
  const lines = named.map((name) => `  given up: the cursor ${visible(name)}, where it stood can't be told`);
  const most = cursors.length - named.length;
  if (most > 0) lines.push(`  given up: ${plural(most, 'cursor')} at most, of which nothing can be told`);
  return lines;
}
