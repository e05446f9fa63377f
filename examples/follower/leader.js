/** Applies transfers to its accounts and writes each to a channel, until it is told to stop. */
import { setImmediate as turn } from 'node:timers/promises';
import { inspect, json, Writer } from 'millrace';
import { Accounts } from '../shared/accounts.js';
import { directory, tell } from '../shared/child.js';
import { transfers } from '../shared/transfers.js';
import { CAPACITY, channelIn } from './channel.js';
import { saveSnapshot } from './snapshot.js';

/** So that the channel always holds what was written since the newest snapshot, and a good deal more. */
const SNAPSHOT_EVERY_BYTES = CAPACITY / 8;
const TRANSFERS_A_TURN = 256;

const path = channelIn(directory);
const accounts = new Accounts();
const writer = await Writer.create(path, { capacity: CAPACITY, codec: json });
const { channelId } = inspect(path);
let snapshotAt = 0;
let stopping = false;
process.on('message', (message) => {
  stopping = message === 'stop';
});

for (const transfer of transfers()) {
  // Followers hold it back while they read on, and no longer.
  await writer.send(transfer);
  accounts.apply(transfer);
  if (writer.position - snapshotAt >= SNAPSHOT_EVERY_BYTES) snapshot();
  if (accounts.transfers % TRANSFERS_A_TURN === 0) await turn();
  if (stopping) break;
}
writer.close();
tell({ state: 'ended', name: 'leader', transfers: accounts.transfers, hash: accounts.hash() });

/** Nothing may come between a state and its position, so there is no `await` in here. */
function snapshot() {
  snapshotAt = writer.position;
  saveSnapshot(directory, { accounts, position: snapshotAt, channelId });
  tell({ state: 'leading', position: snapshotAt });
}
