/** Begins with the newest snapshot and the events since then; then takes commands, until it is stopped or killed. */
import { setImmediate as turn } from 'node:timers/promises';
import { Log } from 'millrace/log';
import { directory, given, tell } from '../shared/child.js';
import { logIn } from '../shared/logs.js';
import { command } from './commands.js';
import { loadSnapshot, saveSnapshot } from './snapshot.js';

const COMMANDS_A_TURN = 200;
const SNAPSHOT_EVERY = 10_000;

const first = Number(given[0]);
let stopping = false;
process.on('message', (message) => {
  stopping = message === 'stop';
});

const log = await Log.open(logIn(directory));
const { warehouse, offset } = loadSnapshot(directory);
let replayed = 0;
for await (const { value } of log.read({ from: offset })) {
  warehouse.apply(JSON.parse(value.toString()));
  replayed++;
}
tell({ state: 'began', offset, replayed, events: warehouse.events, hash: warehouse.hash() });

let snapshotAt = offset;
for (let number = first; !stopping; number++) {
  const event = warehouse.decide(command(number));
  if (event !== undefined) {
    log.append({ key: event.item, value: JSON.stringify(event) });
    warehouse.apply(event);
  }
  if (number % COMMANDS_A_TURN !== 0) continue;
  if (log.next - snapshotAt >= SNAPSHOT_EVERY) snapshotAt = await saveSnapshot(directory, log, warehouse);
  tell({ state: 'working', commands: number + 1, events: warehouse.events, snapshotAt });
  await turn();
}
await log.close();
tell({ state: 'ended', events: warehouse.events, hash: warehouse.hash() });
