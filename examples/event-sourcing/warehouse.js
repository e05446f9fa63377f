/**
 * A warehouse whose state is made by events alone: `decide` says what a command comes to, and changes nothing; `apply`
 * changes the state as an event says, and decides nothing.
 */
import { createHash } from 'node:crypto';

/** @typedef {{ item: string, pieces: number }} Command pieces below 0 go out */
/** @typedef {{ type: 'received' | 'shipped', item: string, pieces: number }} Event */

export class Warehouse {
  /** How many events made it what it is. */
  events = 0;
  /** @type {Map<string, number>} */
  #stock = new Map();

  /** @param {Command} command @returns {Event | undefined} undefined: it is refused */
  decide({ item, pieces }) {
    if (pieces > 0) return { type: 'received', item, pieces };
    if (this.#stockOf(item) < -pieces) return undefined;
    return { type: 'shipped', item, pieces: -pieces };
  }

  /** @param {Event} event */
  apply({ type, item, pieces }) {
    const change = type === 'received' ? pieces : -pieces;
    this.#stock.set(item, this.#stockOf(item) + change);
    this.events++;
  }

  #stockOf(item) {
    return this.#stock.get(item) ?? 0;
  }

  /** The canonical form: equal states have equal JSON, whatever order their items came to be in. */
  toJSON() {
    return { events: this.events, stock: [...this.#stock].sort(([a], [b]) => (a < b ? -1 : 1)) };
  }

  static fromJSON({ events, stock }) {
    const warehouse = new Warehouse();
    warehouse.events = events;
    warehouse.#stock = new Map(stock);
    return warehouse;
  }

  hash() {
    return createHash('sha256').update(JSON.stringify(this)).digest('hex');
  }
}
