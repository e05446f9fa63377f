import { createHistogram } from 'node:perf_hooks';

/** How long something took, in milliseconds. */
export interface Times {
  count: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

export interface LogStats {
  earliest: number;
  next: number;
  durable: number;
  segments: number;
  /** Of this handle: what it appended. */
  records: number;
  bytes: number;
  /** Bytes that were appended and may not be on the disk. */
  unsyncedBytes: number;
  /** How often appending had to wait for a new segment to be made. */
  rollStalls: number;
  /** How long `commit` and `flush` waited for the disk. */
  syncs: Times;
}

const MICROSECONDS_A_MILLISECOND = 1000;

export class Stopwatch {
  /** In microseconds, of which it takes no less than one. */
  readonly #histogram = createHistogram();

  since(beganAt: number): void {
    const tookUs = (performance.now() - beganAt) * MICROSECONDS_A_MILLISECOND;
    this.#histogram.record(Math.max(1, Math.round(tookUs)));
  }

  get times(): Times {
    const { count, max } = this.#histogram;
    if (count === 0) return { count, p50: 0, p99: 0, p999: 0, max: 0 };
    const at = (percentile: number) => this.#histogram.percentile(percentile) / MICROSECONDS_A_MILLISECOND;
    return { count, p50: at(50), p99: at(99), p999: at(99.9), max: max / MICROSECONDS_A_MILLISECOND };
  }
}

/** Of a handle that appends nothing. */
export const NO_STATS: Pick<LogStats, 'records' | 'bytes' | 'unsyncedBytes' | 'rollStalls' | 'syncs'> = {
  records: 0,
  bytes: 0,
  unsyncedBytes: 0,
  rollStalls: 0,
  syncs: new Stopwatch().times,
};
