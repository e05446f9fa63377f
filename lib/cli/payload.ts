import { isUtf8 } from 'node:buffer';
import type { ReaderRecord } from '../index.js';
import { UsageError, type Values, type Verb } from './command.js';
import { beginningOf, visible } from './words.js';

export type Encoding = 'auto' | 'text' | 'hex' | 'base64';

const ENCODINGS = ['text', 'hex', 'base64'] as const;

export const ENCODING_OPTIONS = {
  text: { type: 'boolean' },
  hex: { type: 'boolean' },
  base64: { type: 'boolean' },
} as const;

export function encodingOf(verb: Verb, values: Values): Encoding {
  const chosen = ENCODINGS.filter((encoding) => values[encoding] === true);
  if (chosen.length <= 1) return chosen[0] ?? 'auto';
  throw new UsageError(
    `${verb.name}: one of ${chosen.map((name) => `--${name}`).join(', ')}, not several`,
    verb.name,
  );
}

/** The payload for people, on one line; of what is longer, its beginning. */
export function preview(data: Buffer, encoding: Encoding, most: number): string {
  // A NUL is in no text, and in most numbers: these are not to be text now and then, as the bytes happen to be.
  const isText = isUtf8(data) && !data.includes(0);
  const chosen = encoding === 'auto' ? (isText ? 'text' : 'hex') : encoding;
  // A character takes four bytes at most, a byte one character at least.
  const beginning = data.length > most * 4 ? data.subarray(0, most * 4) : data;
  const whole = chosen === 'text' ? visible(beginning.toString('utf8')) : beginning.toString(chosen);
  return beginningOf(whole, most);
}

/** A record as an object for machines, payload and all. */
export function asObject(record: ReaderRecord, encoding: Encoding): Record<string, unknown> {
  const { position, record: number, type, timestamp, tag, data } = record;
  const chosen = encoding === 'auto' ? (isUtf8(data) ? 'text' : 'base64') : encoding;
  return {
    position,
    record: number,
    type,
    timestamp,
    tag,
    size: data.length,
    [chosen]: data.toString(chosen === 'text' ? 'utf8' : chosen),
  };
}
