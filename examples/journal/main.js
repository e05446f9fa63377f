#!/usr/bin/env node
/**
 * A service that journals all that it does, and is killed in the midst of it, again and again: each time it replays its
 * journal, and nothing that it acknowledged is lost.
 * Run it with: node examples/journal/main.js
 */
import { Log } from 'millrace/log';
import { logIn } from '../shared/logs.js';
import { directory, heard, kill, start } from '../shared/processes.js';
import { Book } from './orders.js';

const SERVICE = new URL('service.js', import.meta.url);
const KILLS = 3;
const ORDERS_A_LIFE = 50_000;

/** The state after so many orders, as the service said it. @type {Map<number, string>} */
const acknowledged = new Map();
let latest = 0;

for (let life = 1; life <= KILLS; life++) {
  const service = await begin();
  await takesOrders(service, latest + ORDERS_A_LIFE);
  await kill(service);
  console.log(`killed after it had acknowledged ${latest} orders`);
}
const service = await begin();
await takesOrders(service, latest + ORDERS_A_LIFE);
const ended = new Promise((resolve) => service.on('close', resolve));
service.send('stop');
await ended;
console.log(`stopped after it had acknowledged ${latest} orders`);
await audit();

async function begin() {
  // Before the new one acknowledges more.
  const before = latest;
  const child = start(SERVICE);
  child.on('message', (message) => {
    if (message.state !== 'acknowledged') return;
    acknowledged.set(message.orders, message.hash);
    latest = message.orders;
  });
  const { orders, after } = await heard(child, ({ state }) => state === 'replayed');
  console.log(`replayed ${orders} orders (recovery.after: '${after}')`);
  if (orders < before) throw new Error(`${before - orders} orders are lost that were acknowledged`);
  return child;
}

function takesOrders(child, count) {
  return heard(child, ({ state, orders }) => state === 'acknowledged' && orders >= count);
}

/** Reads all of the journal, and compares each state on the way with what the service said. */
async function audit() {
  const log = await Log.open(logIn(directory), { readOnly: true });
  const book = new Book();
  let compared = 0;
  for await (const { value } of log.read()) {
    book.enter(JSON.parse(value.toString()));
    const hash = acknowledged.get(book.orders);
    if (hash === undefined) continue;
    if (hash !== book.hash()) throw new Error(`After order ${book.orders} the state was another one`);
    compared++;
  }
  await log.close();
  if (compared !== acknowledged.size)
    throw new Error('Something that was acknowledged is not in the journal');
  console.log(
    `all ${compared} states that were acknowledged follow from the journal: ${book.orders} orders, state ${book.hash()}`,
  );
}
