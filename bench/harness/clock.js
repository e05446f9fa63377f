import { performance } from 'node:perf_hooks';
import { nowNs } from './participant.js';

const TRIES = 1000;

/** What lies between this process's clock and the machine's, taken where both could be read at almost the same moment. */
function offsetNs() {
  let least = Infinity;
  let offset = 0;
  for (let i = 0; i < TRIES; i++) {
    const before = performance.now();
    const machine = nowNs();
    const after = performance.now();
    if (after - before >= least) continue;
    least = after - before;
    offset = machine - ((before + after) / 2) * 1e6;
  }
  return offset;
}

const offset = offsetNs();

/** Nanoseconds of the clock that all processes of the machine share; unlike `process.hrtime` it allocates nothing. */
export function clockNs() {
  return performance.now() * 1e6 + offset;
}
