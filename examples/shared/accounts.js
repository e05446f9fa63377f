/** The state that is replicated. What an operation does depends on all that came before it, so that order matters. */
import { createHash } from 'node:crypto';

const OPENING_BALANCE = 1000;

/** @typedef {{ from: string, to: string, amount: number }} Transfer */

export class Accounts {
  /** How many transfers made it what it is. */
  transfers = 0;
  /** @type {Map<string, number>} */
  #balances = new Map();

  /** @param {Transfer} transfer */
  apply({ from, to, amount }) {
    this.transfers++;
    // Nobody's balance falls below zero.
    if (this.#balanceOf(from) < amount) return;
    this.#balances.set(from, this.#balanceOf(from) - amount);
    this.#balances.set(to, this.#balanceOf(to) + amount);
  }

  #balanceOf(account) {
    return this.#balances.get(account) ?? OPENING_BALANCE;
  }

  /** The canonical form: equal states have equal JSON, whatever order their accounts came to be in. */
  toJSON() {
    const balances = [...this.#balances].sort(([a], [b]) => (a < b ? -1 : 1));
    return { transfers: this.transfers, balances };
  }

  static fromJSON({ transfers, balances }) {
    const accounts = new Accounts();
    accounts.transfers = transfers;
    accounts.#balances = new Map(balances);
    return accounts;
  }

  hash() {
    return createHash('sha256').update(JSON.stringify(this)).digest('hex');
  }
}
