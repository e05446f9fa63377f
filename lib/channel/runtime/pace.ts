/** How many a second, and over how many milliseconds that was. */
export type Rates<Counted extends string> = Record<Counted | 'overMs', number>;

const MS_A_SECOND = 1000;

/** Tells of what is counted how fast it grew since it was asked last, or since it was made. */
export class Pace<Counted extends string> {
  #at = performance.now();
  #last: Readonly<Record<Counted, number>>;

  constructor(counts: Readonly<Record<Counted, number>>) {
    this.#last = counts;
  }

  rates(counts: Readonly<Record<Counted, number>>): Rates<Counted> {
    const now = performance.now();
    const overMs = now - this.#at;
    const rates = { overMs } as Rates<Counted>;
    for (const name in counts) {
      const more = counts[name] - this.#last[name];
      rates[name] = (overMs > 0 ? (more * MS_A_SECOND) / overMs : 0) as Rates<Counted>[typeof name];
    }
    this.#at = now;
    this.#last = counts;
    return rates;
  }
}
