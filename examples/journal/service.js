/** Takes orders, journals each before anything else happens to it, and has its state from the journal alone. */
import { setImmediate as turn } from 'node:timers/promises';
import { Log } from 'millrace/log';
import { directory, tell } from '../shared/child.js';
import { logIn } from '../shared/logs.js';
import { Book, orderNumber } from './orders.js';

const ORDERS_A_TURN = 500;

let stopping = false;
process.on('message', (message) => {
  stopping = message === 'stop';
});

const log = await Log.open(logIn(directory));
const book = new Book();
for await (const { value } of log.read()) book.enter(JSON.parse(value.toString()));
tell({ state: 'replayed', after: log.recovery?.after, orders: book.orders });

while (!stopping) {
  for (let i = 0; i < ORDERS_A_TURN; i++) {
    const order = orderNumber(book.orders);
    log.append(JSON.stringify(order));
    book.enter(order);
  }
  // What is appended outlives this process. To outlive the machine, too, it would say `await log.flush()` here, or
  // `await log.commit(…)` above.
  tell({ state: 'acknowledged', orders: book.orders, hash: book.hash() });
  await turn();
}
await log.close();
