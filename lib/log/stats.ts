import { type Rates, Stopwatch, type Times } from '../channel/index.js';

export interface LogStats {
  earliest: number;
  next: number;
  durable: number;
  segments: number;
  /** How many this handle appended. */
  records: number;
  /** How much that was, with headers. */
  bytes: number;
  /** Of these, since it was asked last. */
  rates: Rates<'records' | 'bytes'>;
  /** Bytes that were appended and may not be on the disk. */
  unsyncedBytes: number;
  /** How often appending had to wait for a new segment to be made. */
  rollStalls: number;
  /** How long `commit` and `flush` waited for the disk. */
  syncs: Times;
}

/** Of a handle that appends nothing. */
export const NO_STATS: Omit<LogStats, 'earliest' | 'next' | 'durable' | 'segments' | 'rates'> = {
  records: 0,
  bytes: 0,
  unsyncedBytes: 0,
  rollStalls: 0,
  syncs: new Stopwatch().times,
};
