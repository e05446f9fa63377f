/** How an image is drawn, with how often. */
const MODES = [
  ['random', 14],
  ['nothing but what is promised', 2],
  ['everything up to now', 2],
  ['as of one moment', 2],
  ['all but one page', 3],
  ['one page alone', 3],
];

const SECTORS_A_PAGE = 8;

/** Decides for one image which of their possible states things have. */
export class Chance {
  mode;
  #random;
  #moment;
  /** The page that goes another way than all others, in the modes that speak of one. */
  #single;
  /** Of what is drawn, so many in a hundred are as promised, and so many as now; the others are any of their states. */
  #oldest;
  #newest;
  /** So many pages in a hundred are mixed from several of their states, sector by sector. */
  #mixed;

  /** `pages` and `names`: the histories of all that may differ from what is promised. */
  constructor(random, mode, pages, names) {
    this.#random = random;
    this.mode = mode ?? weighted(random, MODES);
    const moments = [...pages, ...names].flatMap(({ changes }) => changes);
    this.#moment = moments[random(moments.length)] ?? 0;
    this.#single = pages[random(pages.length)];
    this.#oldest = [0, 0, 20, 50, 80][random(5)];
    this.#newest = [0, 0, 20, 50, 80][random(5)];
    this.#mixed = [0, 10, 50, 100][random(4)];
  }

  /** The look whose state a name or a size has; `changes`: those at which it became something else. */
  lookFor(changes) {
    switch (this.mode) {
      case 'nothing but what is promised':
        return changes[0];
      case 'as of one moment':
        return this.#moment;
      case 'random':
        return changes[this.#draw(changes.length)];
      default:
        return changes[changes.length - 1];
    }
  }

  /** The states of the sectors of a page: one for all of them, or one for each. */
  sectorsOf(page) {
    const { states, promised, latest } = page;
    switch (this.mode) {
      case 'nothing but what is promised':
        return [promised];
      case 'everything up to now':
        return [latest];
      case 'as of one moment':
        return [page.at(this.#moment)];
      case 'all but one page':
        return page === this.#single ? this.#mix(states.slice(0, -1)) : [latest];
      case 'one page alone':
        return page === this.#single ? this.#mix(states.slice(1)) : [promised];
      default:
        return this.#mix(states);
    }
  }

  #mix(states) {
    const mixes = states.length > 1 && this.#random(100) < this.#mixed;
    return Array.from({ length: mixes ? SECTORS_A_PAGE : 1 }, () => states[this.#draw(states.length)]);
  }

  #draw(count) {
    const roll = this.#random(100);
    if (roll < this.#oldest) return 0;
    if (roll < this.#oldest + this.#newest) return count - 1;
    return this.#random(count);
  }
}

function weighted(random, pairs) {
  let rest = random(pairs.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [what, weight] of pairs) {
    if (rest < weight) return what;
    rest -= weight;
  }
  throw new Error('Nothing to choose from');
}
