import { invalidArgument, MillraceError } from '../../errors.js';
import { show, wholeNumber } from '../../options.js';
import type { Data } from './data.js';

/** How values become records. */
export interface Encoder<In> {
  /** Makes of a value what is written. */
  encode(value: In): Data;
  /** Called when what was encoded last was refused and is not in the channel. */
  refused?(): void;
}

/** How records become values. */
export interface Decoder<Out> {
  /** Makes a value of bytes of its own, to keep. */
  decode(bytes: Buffer): Out;
}

/** Both ways. What comes out may say more than what went in: a sequence number, a time. */
export interface Codec<In, Out = In> extends Encoder<In>, Decoder<Out> {}

/** Refuses what is no codec when it is given, not when the first record comes. */
export function checkCodec(codec: unknown, method: 'encode' | 'decode'): void {
  if (codec === undefined) return;
  if (typeof (codec as Record<string, unknown> | null)?.[method] === 'function') return;
  throw invalidArgument(`codec must be an object with the function ${method}, not ${show(codec)}`);
}

/** That of a codec which goes on with what another one makes. */
export function checkInner(inner: unknown): void {
  if (inner === undefined) throw invalidArgument('There is no codec to go on with');
  checkCodec(inner, 'encode');
  checkCodec(inner, 'decode');
}

export const utf8: Codec<string> = {
  encode: (text) => text,
  decode: (bytes) => bytes.toString('utf8'),
};

function makeJson<T>(): Codec<T> {
  return {
    encode: (value) => {
      const text = JSON.stringify(value);
      if (text === undefined) throw invalidArgument('JSON has no words for undefined, functions or symbols');
      return text;
    },
    decode: (bytes) => JSON.parse(bytes.toString('utf8')) as T,
  };
}

/** JSON of anything; `json as Codec<Order>`, or `jsonOf<Order>()`, types it. */
export const json: Codec<unknown> = makeJson<unknown>();
export const jsonOf: <T>() => Codec<T> = makeJson;

export interface Sequenced<T> {
  sequence: number;
  value: T;
}

/** Puts a running number, from `first` on, before what another codec makes; each writer uses its own. */
export function sequenced<In, Out>(inner: Codec<In, Out>, first = 0): Codec<In, Sequenced<Out>> {
  let next = wholeNumber('first', first, 0, Number.MAX_SAFE_INTEGER);
  const codec = prefixed(
    inner,
    () => next++,
    (sequence: number, value: Out) => ({ sequence, value }),
  );
  const refused = () => {
    next--;
    inner.refused?.();
  };
  return { ...codec, refused };
}

export interface Timestamped<T> {
  /** Microseconds since 1970, when it was encoded. */
  timestamp: number;
  value: T;
}

/** Puts the time of encoding before what another codec makes. */
export function timestamped<In, Out>(inner: Codec<In, Out>): Codec<In, Timestamped<Out>> {
  return prefixed(
    inner,
    () => Date.now() * 1000,
    (timestamp, value) => ({ timestamp, value }),
  );
}

const PREFIX_BYTES = 8;

function prefixed<In, Out, Wrapped>(
  inner: Codec<In, Out>,
  prefix: () => number,
  wrap: (prefix: number, value: Out) => Wrapped,
): Codec<In, Wrapped> {
  checkInner(inner);
  return {
    refused: () => inner.refused?.(),
    encode(value) {
      const head = Buffer.allocUnsafe(PREFIX_BYTES);
      const data = inner.encode(value);
      head.writeDoubleLE(prefix());
      return Array.isArray(data) ? [head, ...data] : [head, data as Uint8Array | string];
    },
    decode(bytes) {
      if (bytes.length < PREFIX_BYTES) {
        throw new MillraceError(
          'ERR_CORRUPT',
          `A record of ${bytes.length} bytes is too short for this codec`,
          {
            size: bytes.length,
          },
        );
      }
      return wrap(bytes.readDoubleLE(), inner.decode(bytes.subarray(PREFIX_BYTES)));
    },
  };
}
