import type { ReaderRecord } from '../../index.js';
import type { LogRecord, LogRecordInput } from '../../log/index.js';

// What of a channel's record is neither value nor time of a log's. Numbers are decimal; what is 0 is left out.
const TYPE = 'millrace.type';
const TAG = 'millrace.tag';
/** How many records of the channel are missing before this one. */
const LOST = 'millrace.lost';
/** The last record of each batch tells where recording goes on: the channel, the position and number of its next record. */
const NEXT = 'millrace.next';

const MOST_TYPE = 0xffff;

/** Where recording goes on. */
export interface Next {
  channelId: string;
  position: number;
  record: number;
}

/** A record of a channel as one of a log. `next` is in the last one of a batch: that is in the log whole, or not at all. */
export function toLog(
  { data, timestamp, type, tag = 0 }: ReaderRecord,
  lost: number,
  next: Next | undefined,
): LogRecordInput {
  const headers: [name: string, value: string][] = [];
  if (type > 0) headers.push([TYPE, String(type)]);
  if (tag > 0) headers.push([TAG, String(tag)]);
  if (lost > 0) headers.push([LOST, String(lost)]);
  if (next !== undefined) headers.push([NEXT, `${next.channelId} ${next.position} ${next.record}`]);
  return { value: data, headers, timestamp: timestamp === undefined ? undefined : { us: timestamp } };
}

/** What a record says of where recording goes on. */
export function nextOf({ headers = [] }: LogRecord): Next | undefined {
  for (const [name, value] of headers) {
    const [, channelId, position, record] =
      (name === NEXT && /^([\da-f]{32}) (\d+) (\d+)$/.exec(value.toString())) || [];
    if (channelId !== undefined) return { channelId, position: Number(position), record: Number(record) };
  }
  return undefined;
}

/** What of a log's record goes into a channel. */
export interface ForChannel {
  type: number;
  tag: number;
  /** How many records were lost before it when it was recorded. */
  lost: number;
  /** It has a key or headers, which a channel has no place for. */
  hasMore: boolean;
}

export function toChannel({ key, headers = [] }: LogRecord): ForChannel {
  const found: ForChannel = { type: 0, tag: 0, lost: 0, hasMore: key !== undefined };
  for (const [name, value] of headers) {
    const number = numberOf(value);
    if (name === TYPE && number <= MOST_TYPE) found.type = number;
    else if (name === TAG && number <= Number.MAX_SAFE_INTEGER) found.tag = number;
    else if (name === LOST && number <= Number.MAX_SAFE_INTEGER) found.lost = number;
    else if (name !== NEXT) found.hasMore = true;
  }
  return found;
}

/** Without an end where it is none. */
function numberOf(value: Buffer): number {
  const text = value.toString('latin1');
  return /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
}
