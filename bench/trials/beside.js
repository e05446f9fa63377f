import { barOfRates, sum, waitedShares } from '../harness/figures.js';
import { Rounds } from '../harness/rounds.js';

// Rows of contests in which Millrace stands beside others: what is compared is how much of it there is in a second.

/**
 * The rows of one contest: those of its contenders, for which `figuresOf(rates, name)` makes figures, and one for
 * each bar, where `ours` has to have at least `least` times the rate of the quickest of `others`, which `called` says
 * in words.
 */
export function contestRows({ group, names, absent, rounds }, figuresOf, bars) {
  const rates = new Rounds(rounds, ({ perSecond }) => perSecond);
  const rows = names.map((name) =>
    name in absent
      ? { group, name, absent: absent[name] }
      : { group, name, samples: samplesOf(rates, name), ...figuresOf(rates, name) },
  );
  return [...rows, ...bars.map((bar) => barRow(`${group}, to be shown`, rates, bar))];
}

/** How many records or trips there were in all its turns. */
export function samplesOf(rates, name) {
  return sum(rates.turns(name).map(({ records }) => records));
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

function present(rates, names) {
  return names.filter((name) => name in rates.rounds[0].facts);
}

function barRow(group, rates, { ours, others, called, least, text = `at least ${least} times` }) {
  const name = `${ours}, beside ${called}`;
  const there = present(rates, others);
  if (there.length === 0 || present(rates, [ours]).length === 0) {
    return { group, name, absent: 'nobody to compare' };
  }
  const base = rates.greatest(there);
  const ratio = rateTo(rates, ours, base);
  const [own, other] = [ours, base].map((one) => sum(waitedShares(rates.turns(one))));
  return {
    group,
    name,
    ratio,
    bar: barOfRates(text, ratio.median, least, { ours: own, other }),
    note: there.length < others.length ? `${others.length - there.length} of them absent` : undefined,
  };
}
