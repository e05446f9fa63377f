import { declareAbandoned, inspect } from '../../index.js';
import { onePath, type Verb } from '../command.js';
import { plural, toJson, visible } from '../words.js';
import { advised } from './advice.js';
import { refuseLog } from './log-instead.js';

export const abandon: Verb = {
  name: 'abandon',
  summary: 'end a channel whose writer died, for good',
  help: `millrace abandon PATH [--json]

Ends a channel that its writer left, behind the last record that was written whole, and tells where that is: who reads it comes
to an end there. It is never written again; to go on with it instead, use millrace write. Of a writer that died while it
closed or sealed the channel the ending is as it meant it. Whose writer lives is left alone, and so is a segment of a log.

  --json    an object: path, status (abandoned, closed or sealed), records, position, and writerPid of who left it

Examples
  millrace abandon /dev/shm/orders
  millrace abandon /dev/shm/orders --json | jq .records`,
  options: { json: { type: 'boolean' } },
  async run(values, paths, output) {
    const path = onePath(abandon, paths);
    refuseLog(path, 'stat');
    const ended = end(path);
    output.line(values.json === true ? toJson(ended) : asText(ended));
    return true;
  },
};

function end(given: string) {
  try {
    declareAbandoned(given);
  } catch (error) {
    throw advised(abandon, error, {
      ERR_WRITER_ACTIVE: 'only what a dead one left can be abandoned',
      ERR_ENDED: `it has its end; millrace dump ${given} shows what is in it`,
    });
  }
  const { path, status, records, tail, writerPid } = inspect(given);
  return { path, status, records, position: tail, writerPid };
}

function asText({ path, status, records, position, writerPid }: ReturnType<typeof end>): string {
  return (
    `${visible(path)} is ${status} at position ${position}, behind ${plural(records, 'record')}; ` +
    `its writer was pid ${writerPid}`
  );
}
