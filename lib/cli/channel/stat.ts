import { type ChannelInfo, inspect } from '../../index.js';
import { UsageError, type Verb } from '../command.js';
import { interruption } from '../interruption.js';
import { type Output, sayError } from '../output.js';
import { untilNextLook } from '../watching.js';
import { toJson } from '../words.js';
import { refuseLog } from './log-instead.js';
import { type Rates, ratesSince } from './rates.js';
import { describe } from './stat-text.js';

export const stat: Verb = {
  name: 'stat',
  summary: 'tell what a channel is, how far it is and who reads it',
  help: `millrace stat PATH… [--watch] [--json]

Tells what each channel says of itself: its writer, its size, how far it is, and who reads it from where.
Nothing in the channel changes, and its writer does not notice.

  -w, --watch   again each second, with rates, until Ctrl-C
  --json        an object a line

Examples
  millrace stat /dev/shm/orders
  millrace stat /dev/shm/* --watch
  millrace stat /dev/shm/orders --json | jq '.readers[].lagBytes'`,
  options: { watch: { type: 'boolean', short: 'w' }, json: { type: 'boolean' } },
  async run(values, paths, output) {
    if (paths.length === 0) throw new UsageError('stat: which channel?', 'stat');
    const show = values.json === true ? asJson : asText;
    if (values.watch === true) return watch(paths, show, output);
    return (await look(paths, new Map(), show, output)) === paths.length;
  },
};

interface Look {
  info: ChannelInfo;
  at: number;
}

type Show = (info: ChannelInfo, rates: Rates | undefined) => string;

const asText: Show = (info, rates) => `${describe(info, rates).join('\n')}\n`;
const asJson: Show = (info, rates) => toJson(rates === undefined ? info : { ...info, rates });

/** Shows each channel once; returns how many could be read. */
async function look(paths: string[], before: Map<string, Look>, show: Show, output: Output): Promise<number> {
  let read = 0;
  for (const path of paths) {
    try {
      refuseLog(path, 'stat');
      const now = { info: inspect(path), at: performance.now() };
      const last = before.get(path);
      const rates = last && ratesSince(last.info, now.info, now.at - last.at);
      before.set(path, now);
      output.line(show(now.info, rates));
      read++;
    } catch (error) {
      before.delete(path);
      sayError(error);
    }
  }
  await output.flush();
  return read;
}

async function watch(paths: string[], show: Show, output: Output): Promise<boolean> {
  const stop = interruption();
  const before = new Map<string, Look>();
  for (;;) {
    if (output.isTerminal && show === asText) output.clear();
    const read = await look(paths, before, show, output);
    if (read === 0) return false;
    await untilNextLook(stop);
    if (stop.aborted) return read === paths.length;
  }
}
