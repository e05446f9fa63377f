import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** How long something took, in milliseconds. */
export interface Times {
  /** How many were timed. */
  count: number;
  /** Milliseconds: half of them took no longer. */
  p50: number;
  /** 99 of 100 took no longer. */
  p99: number;
  /** 999 of 1000 took no longer. */
  p999: number;
  /** The longest one. */
  max: number;
}

const NEVER: Times = { count: 0, p50: 0, p99: 0, p999: 0, max: 0 };
const MICROSECONDS_A_MILLISECOND = 1000;

export class Stopwatch {
  /** In microseconds, of which it takes no less than one. Large: there is none before it is needed. */
  #histogram: RecordableHistogram | undefined;

  since(beganAt: number): void {
    const tookUs = (performance.now() - beganAt) * MICROSECONDS_A_MILLISECOND;
    this.#histogram ??= createHistogram();
    this.#histogram.record(Math.max(1, Math.round(tookUs)));
  }

  get times(): Times {
    const histogram = this.#histogram;
    if (histogram === undefined) return { ...NEVER };
    const at = (percentile: number) => histogram.percentile(percentile) / MICROSECONDS_A_MILLISECOND;
    const { count, max } = histogram;
    return { count, p50: at(50), p99: at(99), p999: at(99.9), max: max / MICROSECONDS_A_MILLISECOND };
  }
}
