/** What happens at this service. Orders come in a sequence that is the same in each run, so that all can be told apart. */
import { createHash } from 'node:crypto';

const GOODS = ['flour', 'bran', 'semolina', 'grist'];

/** @typedef {{ number: number, good: string, sacks: number }} Order */

/** @param {number} number @returns {Order} */
export const orderNumber = (number) => ({
  number,
  good: GOODS[number % GOODS.length],
  sacks: 1 + ((number * 7919) % 13),
});

/** The state: what was ordered of each good. */
export class Book {
  orders = 0;
  #sacks = new Map(GOODS.map((good) => [good, 0]));

  /** @param {Order} order */
  enter({ number, good, sacks }) {
    if (number !== this.orders) throw new Error(`Order ${number} came where ${this.orders} was expected`);
    this.orders++;
    this.#sacks.set(good, this.#sacks.get(good) + sacks);
  }

  hash() {
    return createHash('sha256')
      .update(JSON.stringify([this.orders, ...this.#sacks]))
      .digest('hex');
  }
}
