#!/usr/bin/env node
/**
 * State from events: the log of them is the truth, a snapshot is a short cut to it. A service is killed, and begins again
 * with its snapshot and the events since then; that gives the same state as all events from the first one on.
 * Run it with: node examples/event-sourcing/main.js
 */
import { Log } from 'millrace/log';
import { logIn } from '../shared/logs.js';
import { directory, heard, kill, start } from '../shared/processes.js';
import { Warehouse } from './warehouse.js';

const SERVICE = new URL('service.js', import.meta.url);
const EVENTS = 35_000;

const service = start(SERVICE, '0');
// Somewhere between two snapshots.
const { commands } = await heard(service, ({ events }) => events >= EVENTS);
await kill(service);
const [all, offset, state] = await fromTheFirst();
console.log(`killed; the log has ${offset} events, and they all make state ${state}`);

const successor = start(SERVICE, String(commands));
const began = await heard(successor, (message) => message.state === 'began');
console.log(`snapshot at ${began.offset} and ${began.replayed} events since then make state ${began.hash}`);
if (began.hash !== state) throw new Error('They are different states');

await heard(successor, ({ events }) => events >= all.events + EVENTS);
const ending = heard(successor, (message) => message.state === 'ended');
successor.send('stop');
const ended = await ending;
const [, total, hash] = await fromTheFirst();
console.log(
  `stopped after event ${ended.events} in state ${ended.hash}; all ${total} events make state ${hash}`,
);
if (ended.hash !== hash) throw new Error('They are different states');

/** @returns {Promise<[Warehouse, number, string]>} the state that all events make, how many they are, and its hash */
async function fromTheFirst() {
  const log = await Log.open(logIn(directory), { readOnly: true });
  const warehouse = new Warehouse();
  for await (const { value } of log.read({ from: 'earliest' })) warehouse.apply(JSON.parse(value.toString()));
  const { next } = log;
  await log.close();
  return [warehouse, next, warehouse.hash()];
}
