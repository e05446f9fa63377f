import type { LogRecordInput } from '../../log/index.js';
import { closest } from '../../options.js';

const FIELDS = ['key', 'value', 'headers', 'timestamp', 'ttlMs'];
const BASE64 = /^(?:[\w+/-]{4})*(?:[\w+/-]{2,3}(?:==?)?)?$/;
const HEX = /^(?:[\da-f]{2})*$/i;

/** A record as JSON has it: bytes are a string, or { "base64": … } or { "hex": … }; null is what isn't there. */
export function recordOf(text: string): LogRecordInput {
  const given = parse(text);
  for (const name of Object.keys(given)) {
    if (FIELDS.includes(name)) continue;
    const meant = closest(name, FIELDS);
    throw new Error(
      `a record has no '${name}'${meant === undefined ? `; it has ${FIELDS.join(', ')}` : `; did you mean '${meant}'?`}`,
    );
  }
  const { key, value, headers, timestamp, ttlMs } = given;
  if (value === undefined) throw new Error('a record needs a value; null says that what had its key is gone');
  const record: LogRecordInput = { value: value === null ? null : bytesOf('the value', value) };
  if (isGiven(key)) record.key = bytesOf('the key', key);
  if (isGiven(headers)) record.headers = headersOf(headers);
  if (isGiven(timestamp)) record.timestamp = timestampOf(timestamp);
  // The library says what is wrong with it.
  if (isGiven(ttlMs)) record.ttlMs = ttlMs as number;
  return record;
}

function parse(text: string): Record<string, unknown> {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new Error(`it is no JSON: ${(error as Error).message}`);
  }
  if (isObject(given)) return given;
  throw new Error('it is no object { "key", "value", "headers", "timestamp", "ttlMs" }');
}

function isObject(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function bytesOf(what: string, given: unknown): string | Buffer {
  if (typeof given === 'string') return given;
  if (isObject(given) && Object.keys(given).length === 1) {
    const { base64, hex } = given;
    if (typeof base64 === 'string' && BASE64.test(base64)) return Buffer.from(base64, 'base64');
    if (typeof hex === 'string' && HEX.test(hex)) return Buffer.from(hex, 'hex');
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
    return [pair[0], bytesOf(`the header '${pair[0]}'`, pair[1])];
  });
}

function timestampOf(given: unknown): number | Date | { us: number } {
  if (typeof given === 'number') return given;
  if (typeof given === 'string' && !Number.isNaN(Date.parse(given))) return new Date(given);
  if (isObject(given) && typeof given.us === 'number') return { us: given.us };
  throw new Error(
    `timestamp must be milliseconds since 1970, such as "2026-11-21T05:00:00Z", or { "us": … }, not ${JSON.stringify(given)}`,
  );
}
