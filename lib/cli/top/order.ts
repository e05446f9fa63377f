import type { ReaderInfo } from '../../index.js';
import type { Found, SeenChannel, SeenLog } from './looker.js';

/** What the first one has most of. */
export type Key = 'rate' | 'bytes' | 'records' | 'lag' | 'size' | 'path';

export const KEYS: readonly Key[] = ['rate', 'bytes', 'records', 'lag', 'size', 'path'];

type Amount<T> = (found: T) => number | undefined;

const OF_CHANNELS: Record<Key, Amount<SeenChannel>> = {
  rate: ({ rates }) => rates?.records,
  bytes: ({ rates }) => rates?.bytes,
  records: ({ info }) => info?.records,
  lag: ({ info }) => info && worstLag(info.readers),
  size: ({ info }) => info?.fileBytes,
  path: () => undefined,
};

const OF_LOGS: Record<Key, Amount<SeenLog>> = {
  rate: ({ look }) => look?.rates?.records,
  bytes: ({ look }) => look?.rates?.records,
  records: ({ look }) => look?.next && look.next - look.earliest,
  lag: (log) => worstCursorLag(log),
  size: ({ look }) => look?.bytes,
  path: () => undefined,
};

/** Bytes of the stream that the last one of its readers has still to read; undefined where there are none. */
export function worstLag(readers: readonly ReaderInfo[]): number | undefined {
  const lags = readers.filter(({ alive }) => alive).map(({ lagBytes }) => lagBytes);
  return lags.length === 0 ? undefined : Math.max(...lags);
}

/** The same of a log: records that the last one of its cursors has still to read. */
export function worstCursorLag({ look }: SeenLog): number | undefined {
  const lags = (look?.cursors ?? []).map(({ lag }) => lag).filter((lag) => lag !== undefined);
  return lags.length === 0 ? undefined : Math.max(...lags);
}

/** Of logs in records, of channels in bytes. */
const KEYS_IN_TWO_UNITS: readonly Key[] = ['bytes', 'lag'];

/** In place: the most first, and by path where they have the same. Where the units differ channels are before logs. */
export function sortBy(key: Key, found: Found[]): void {
  const amounts = new Map(found.map((one) => [one, amountOf(one, key)]));
  const amount = (one: Found) => amounts.get(one) as number;
  const isApart = KEYS_IN_TWO_UNITS.includes(key);
  const turn = ({ kind }: Found) => (isApart && kind === 'log' ? 1 : 0);
  found.sort((a, b) => turn(a) - turn(b) || amount(b) - amount(a) || (a.path < b.path ? -1 : 1));
}

/** What nobody can tell is least. */
function amountOf(found: Found, key: Key): number {
  const amount = found.kind === 'channel' ? OF_CHANNELS[key](found) : OF_LOGS[key](found);
  return amount ?? -1;
}
