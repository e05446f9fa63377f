import { barOf, sum, waitedShares } from '../harness/figures.js';
import { Rounds } from '../harness/rounds.js';

// Rows of a contest in which Millrace stands beside others: what is compared is how much of it there is in a second.

export function ratesOf(rounds) {
  return new Rounds(rounds, ({ perSecond }) => perSecond);
}

/** How many records or trips there were in all its turns. */
export function samplesOf(rates, name) {
  return sum(rates.turns(name).map(({ records }) => records));
}

/** Whether whoever is in this list was there in all rounds. */
function present(rates, names) {
  return names.filter((name) => name in rates.rounds[0].facts);
}

/** Its rate, as a ratio of the base's. */
export function rateTo(rates, name, base) {
  if (name === base || present(rates, [name, base]).length < 2) return undefined;
  return { to: base, what: 'rate', ...rates.ratio(name, base) };
}

/** The time that it takes for one, as a ratio of the base's. */
export function timeTo(rates, name, base) {
  if (name === base || present(rates, [name, base]).length < 2) return undefined;
  return { to: base, what: 'time', ...rates.ratio(base, name) };
}

/**
 * A row for each bar: `ours` has at least `least` times the rate of the quickest of `others`, which `called` says
 * in words.
 */
export function barRows(group, rates, bars) {
  return bars.map(({ ours, others, called, least, text = `at least ${least} times` }) => {
    const name = `${ours}, beside ${called}`;
    const there = present(rates, others);
    if (there.length === 0) return { group, name, absent: 'none of them was there' };
    const base = rates.greatest(there);
    const ratio = rateTo(rates, ours, base);
    const waited = waitedShares(rates.turns(ours), rates.turns(base));
    return {
      group,
      name,
      ratio,
      bar: barOf(text, ratio.median >= least, waited),
      note: there.length < others.length ? `${others.length - there.length} of them absent` : undefined,
    };
  });
}
