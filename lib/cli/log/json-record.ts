import type { LogRecordInput } from '../../log/index.js';
import { bytesOfText, isGiven, isObject, objectOf, textOf, timestampOf } from '../json-object.js';

const FIELDS = ['key', 'value', 'headers', 'timestamp', 'ttlMs'];

/** A record as JSON has it: bytes are a string, or { "base64": … } or { "hex": … }; null is what isn't there. */
export function recordOf(text: string): LogRecordInput {
  const { key, value, headers, timestamp, ttlMs } = objectOf(text, FIELDS);
  if (value === undefined) throw new Error('a record needs a value; null says that what had its key is gone');
  const record: LogRecordInput = { value: value === null ? null : bytesOf('the value', value) };
  if (isGiven(key)) record.key = bytesOf('the key', key);
  if (isGiven(headers)) record.headers = headersOf(headers);
  if (isGiven(timestamp)) record.timestamp = timestampOf(timestamp);
  // The library says what is wrong with it.
  if (isGiven(ttlMs)) record.ttlMs = ttlMs as number;
  return record;
}

function bytesOf(what: string, given: unknown): string | Buffer {
  if (typeof given === 'string') return textOf(what, given);
  if (isObject(given) && Object.keys(given).length === 1) {
    const bytes = bytesOfText('base64', given.base64) ?? bytesOfText('hex', given.hex);
    if (bytes !== undefined) return bytes;
  }
  throw new Error(`${what} must be a string, { "base64": … } or { "hex": … }, not ${JSON.stringify(given)}`);
}

function headersOf(given: unknown): [name: string, value: string | Buffer][] {
  const pairs = isObject(given) ? Object.entries(given) : given;
  if (!Array.isArray(pairs))
    throw new Error('headers must be an object, or an array of pairs of a name and a value');
  return pairs.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') {
      throw new Error(`a header is a pair of a name and a value, not ${JSON.stringify(pair)}`);
    }
    return [textOf('the name of a header', pair[0]), bytesOf(`the header '${pair[0]}'`, pair[1])];
  });
}
