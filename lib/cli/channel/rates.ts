import type { ChannelInfo, ReaderInfo } from '../../index.js';

/** Per second. */
export interface Rates {
  records: number;
  bytes: number;
  /** Bytes of the stream that each reader passed, by slot. */
  readers: Record<number, number>;
}

/** Undefined where the two looks were at different channels of that name. */
export function ratesSince(before: ChannelInfo, now: ChannelInfo, elapsedMs: number): Rates | undefined {
  if (before.channelId !== now.channelId || before.incarnation !== now.incarnation) return undefined;
  const perSecond = (difference: number) => Math.round((difference * 1000) / elapsedMs);
  const readers: Rates['readers'] = {};
  for (const reader of now.readers) {
    const earlier = before.readers.find((other) => isSame(other, reader));
    if (earlier !== undefined) readers[reader.slot] = perSecond(reader.position - earlier.position);
  }
  return {
    records: perSecond(now.records - before.records),
    bytes: perSecond(now.tail - before.tail),
    readers,
  };
}

function isSame(a: ReaderInfo, b: ReaderInfo): boolean {
  return a.slot === b.slot && a.pid === b.pid && a.name === b.name;
}
