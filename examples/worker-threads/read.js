/** Reading does not know whether it is done in a worker or in a process. */
import { Reader } from 'millrace';
import { channelIn, number, Tally } from './numbers.js';

/**
 * @param {string} directory
 * @param {(message: object) => void} tell
 */
export async function readAll(directory, tell) {
  const reader = await Reader.open(channelIn(directory), { wait: true, gate: true, codec: number });
  tell({ state: 'reading' });
  const tally = new Tally();
  for await (const { value } of reader) tally.add(value);
  reader.close();
  tell({ state: 'ended', did: `read ${tally}` });
}
