import type { BatchRecord } from '../../index.js';
import { bytesOfText, isGiven, objectOf, textOf, timestampOf } from '../json-object.js';

const PAYLOADS = ['text', 'base64', 'hex'] as const;
const FIELDS = [...PAYLOADS, 'type', 'tag', 'timestamp'];

/** A record as JSON has it, its payload as dump and tail show it; null is what isn't there. */
export function recordOf(text: string): BatchRecord {
  const given = objectOf(text, FIELDS);
  const record: BatchRecord = { data: payloadOf(given) };
  // The library says what is wrong with these two.
  if (isGiven(given.type)) record.type = given.type as number;
  if (isGiven(given.tag)) record.tag = given.tag as number;
  if (isGiven(given.timestamp)) record.timestamp = timestampOf(given.timestamp);
  return record;
}

function payloadOf(given: Record<string, unknown>): string | Buffer {
  const [encoding, ...others] = PAYLOADS.filter((name) => isGiven(given[name]));
  if (encoding === undefined || others.length > 0) throw new Error('a record has one of text, base64, hex');
  const written = given[encoding];
  const bytes = encoding === 'text' ? undefined : bytesOfText(encoding, written);
  if (bytes !== undefined) return bytes;
  if (encoding === 'text' && typeof written === 'string') return textOf('text', written);
  const meant = encoding === 'text' ? 'a string' : `a string of ${encoding}`;
  throw new Error(`${encoding} must be ${meant}, not ${JSON.stringify(written)}`);
}
