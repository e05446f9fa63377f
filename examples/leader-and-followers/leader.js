/** Orders the commands, and that is all it is there for: who applies them in the log's order has the leader's state. */
import { setImmediate as turn } from 'node:timers/promises';
import { Log } from 'millrace/log';
import { Accounts } from '../shared/accounts.js';
import { directory, nextMessage, tell } from '../shared/child.js';
import { logIn } from '../shared/logs.js';
import { transfers } from '../shared/transfers.js';
import { LAST } from './commands.js';

const COMMANDS_A_TURN = 200;

// What followers have not read is kept, however little it would keep otherwise: their cursors tell what that is.
const log = await Log.open(logIn(directory), { segment: '256KiB', retention: { segments: 1 } });
const accounts = new Accounts();
tell({ state: 'leading', offset: log.next, earliest: log.earliest });
await nextMessage(); // the followers are there

let stopping = false;
process.on('message', (message) => {
  stopping = message === 'stop';
});
for (const transfer of transfers()) {
  log.append(JSON.stringify(transfer));
  accounts.apply(transfer);
  if (accounts.transfers % COMMANDS_A_TURN !== 0) continue;
  if (stopping) break;
  tell({ state: 'leading', offset: log.next, earliest: log.earliest });
  await turn();
}
await log.commit(LAST);
tell({ state: 'ended', name: 'leader', transfers: accounts.transfers, hash: accounts.hash() });
await log.close();
