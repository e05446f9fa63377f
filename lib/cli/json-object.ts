import { closest } from '../options.js';
import { timeOf } from './time-of.js';

const BASE64 = /^(?:[\w+/-]{4})*(?:[\w+/-]{2,3}(?:==?)?)?$/;
const HEX = /^(?:[\da-f]{2})*$/i;
const HALF_PAIR = /\p{Surrogate}/u;

/** A line of input that is an object of these fields. */
export function objectOf(text: string, fields: readonly string[]): Record<string, unknown> {
  const given = parse(text);
  if (!isObject(given)) {
    throw new Error(`it is no object { ${fields.map((name) => JSON.stringify(name)).join(', ')} }`);
  }
  for (const name of Object.keys(given)) {
    if (fields.includes(name)) continue;
    const meant = closest(name, fields);
    throw new Error(
      `a record has no '${name}'${meant === undefined ? `; it has ${fields.join(', ')}` : `; did you mean '${meant}'?`}`,
    );
  }
  return given;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`it is no JSON: ${(error as Error).message}`);
  }
}

export function isObject(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

/** Null is what isn't there. */
export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Undefined where they are none. */
export function bytesOfText(encoding: 'base64' | 'hex', text: unknown): Buffer | undefined {
  const written = encoding === 'hex' ? HEX : BASE64;
  return typeof text === 'string' && written.test(text) ? Buffer.from(text, encoding) : undefined;
}

/** A string whose bytes are what it says: half a surrogate pair has none, and would become something else. */
export function textOf(what: string, text: string): string {
  if (!HALF_PAIR.test(text)) return text;
  throw new Error(`${what} has half a surrogate pair, which is no text: bytes are given in base64 or hex`);
}

export function timestampOf(given: unknown): number | { us: number } {
  if (typeof given === 'number') return given;
  const us = typeof given === 'string' ? timeOf(given) : undefined;
  if (us !== undefined) return { us };
  if (isObject(given) && typeof given.us === 'number') return { us: given.us };
  throw new Error(
    `timestamp must be milliseconds since 1970, such as "2026-11-21T05:00:00Z", or { "us": … }, not ${JSON.stringify(given)}`,
  );
}
