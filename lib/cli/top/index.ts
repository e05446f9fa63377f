import { choiceOption, countOption, type Verb } from '../command.js';
import { directoryOf } from '../directory.js';
import { interruption } from '../interruption.js';
import type { Output } from '../output.js';
import { untilNextLook } from '../watching.js';
import { toJson } from '../words.js';
import { type Found, isSound, Looker } from './looker.js';
import { KEYS, sortBy } from './order.js';
import { pictureOf } from './picture.js';

export const top: Verb = {
  name: 'top',
  summary: 'watch all channels and logs of a directory, the busiest first',
  help: `millrace top [DIRECTORY] [--sort KEY] [--depth N] [--once] [--json]

Shows a line for each channel and each log of a directory (the one of shmPath, as a rule /dev/shm), and looks again each second,
until Ctrl-C. They come and go as they are made and removed; other files are passed over. Nothing in them changes, and their
writers do not notice. Exits with 1 where the last look met one that is damaged: it has a code for its status, and the reason
stands in a line below, as far as there is room.

FILL is, of a linear channel, how much of it is written; of a ring, how much those have still to read who hold its writer back.
LAG is that of the last one of its readers, in bytes of the stream; of a log, that of its last cursor, in records. Where a
terminal is too narrow, columns are left out.

  --sort KEY   what the first one has most of: rate (records/s; the default), bytes (written a second), records, lag, size; or
               path. By bytes and lag, which logs have in records, they come behind the channels
  --depth N    how many levels of directories below it are looked through as well (1)
  --once       one look only, after a second, so that there are rates
  --json       an object a line for each channel and log, at each look: kind (channel or log), at (when, in microseconds), and
               what millrace stat --json and millrace log stat --json have, with rates; or path and fault

Examples
  millrace top
  millrace top /var/lib/app --sort lag
  millrace top --once --json | jq 'select(.kind == "channel") | {path, rate: .rates.records}'`,
  options: {
    sort: { type: 'string' },
    depth: { type: 'string' },
    once: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(values, paths, output) {
    const key = choiceOption(top, values, 'sort', KEYS) ?? 'rate';
    const depth = countOption(top, values, 'depth', 0, 1);
    const directory = directoryOf(top, paths);
    const isPicture = values.json !== true;
    const show = isPicture ? (found: Found[]) => pictureOf(directory, found, output) : asObjects;
    const stop = interruption();
    const looker = new Looker(directory, depth, stop);
    return watch(looker, values.once === true, stop, async (found) => {
      sortBy(key, found);
      if (isPicture && output.isTerminal && values.once !== true) output.clear();
      await print(show(found), output);
    });
  },
};

/** True if all that the last look met could be read. */
async function watch(
  looker: Looker,
  once: boolean,
  stop: AbortSignal,
  show: (found: Found[]) => Promise<void>,
): Promise<boolean> {
  for (let looks = 1; ; looks++) {
    const found = await looker.look();
    const sound = found.every(isSound);
    if (stop.aborted) return sound;
    const isLast = once && looks === 2;
    if (!once || isLast) await show(found);
    if (isLast) return sound;
    await untilNextLook(stop);
    if (stop.aborted) return sound;
  }
}

async function print(lines: Iterable<string>, output: Output): Promise<void> {
  for (const line of lines) if (output.line(line)) await output.flush();
  await output.flush();
}

function* asObjects(found: Found[]): Generator<string> {
  const at = Date.now() * 1000;
  for (const one of found) {
    const { kind, path, fault } = one;
    const facts = one.kind === 'channel' ? { ...one.info, rates: one.rates } : one.look;
    yield toJson({ kind, at, path, ...facts, fault });
  }
}
