import { LONG_FROM_MS, TurnWatch } from './turn-watch.js';

/** Not measured: what is done first makes code and files. */
export const WARM_UP_MS = 3000;
/** What is due after a stall is caught up in pieces, so that a stall doesn't make the next one. */
const MOST_A_TURN = 64;

/**
 * Acts `aMs` times a millisecond for so many seconds, what is due in each turn of the event loop, and tells what the turns
 * took. `begun` is called when measuring begins, `turned` before what is due in each turn.
 */
export async function keepPace({ seconds, aMs, act, begun = () => {}, turned = () => {} }) {
  const watch = new TurnWatch();
  const start = performance.now();
  const measuredFrom = start + WARM_UP_MS;
  const end = measuredFrom + seconds * 1000;
  let measuring = false;
  let acted = 0;
  let actedBefore = 0;
  let behind = 0;
  let longestActMs = 0;
  let longActs = 0;

  function begin(now) {
    measuring = true;
    watch.begin(now);
    actedBefore = acted;
    longestActMs = longActs = behind = 0;
    begun();
  }

  /** What is due now; the clock is read for each, so that the longest single one is known. */
  function actDue(now) {
    const due = Math.floor((now - start) * aMs) - acted;
    if (due > behind) behind = due;
    for (let left = Math.min(due, MOST_A_TURN); left > 0; left--) {
      act();
      acted++;
      const done = performance.now();
      if (done - now > longestActMs) longestActMs = done - now;
      if (done - now > LONG_FROM_MS) longActs++;
      now = done;
    }
  }

  await new Promise((done) => {
    function turn() {
      const now = performance.now();
      if (measuring) watch.turn(now);
      else if (now >= measuredFrom) begin(now);
      turned();
      actDue(now);
      if (now < end) setImmediate(turn);
      else done();
    }
    setImmediate(turn);
  });
  return {
    ...watch.end(),
    records: acted - actedBefore,
    mostBehindMs: behind / aMs,
    longestActMs,
    longActs,
  };
}
