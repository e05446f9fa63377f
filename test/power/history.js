/**
 * What one thing (a page, a size, a name) was, look by look, from the state that the disk is known to hold to the one
 * now. After a power cut it may be any of these.
 */
export class History {
  /** Never empty: the first one is on the disk for certain, the last one is now. */
  states;
  /** The look that found each state first. */
  #since;

  constructor(state, look) {
    this.states = [state];
    this.#since = [look];
  }

  get latest() {
    return this.states[this.states.length - 1];
  }

  get promised() {
    return this.states[0];
  }

  /** The looks at which it became something else. */
  get changes() {
    return this.#since;
  }

  record(look, state) {
    this.states.push(state);
    this.#since.push(look);
  }

  #indexAt(look) {
    let index = this.states.length - 1;
    while (index > 0 && this.#since[index] > look) index--;
    return index;
  }

  at(look) {
    return this.states[this.#indexAt(look)];
  }

  /** What it was at `look` is on the disk: it will not be older than that. */
  promise(look) {
    const index = this.#indexAt(look);
    if (index === 0) return;
    this.states.splice(0, index);
    this.#since.splice(0, index);
  }

  /** What it was at looks before `look` never comes up as it was, but as `change` makes it. */
  amendBefore(look, change) {
    for (let i = 0; i < this.states.length && this.#since[i] < look; i++) {
      this.states[i] = change(this.states[i]);
    }
  }
}
