import { MillraceError } from '../../errors.js';
import { knownOptions, parseSize, type Size, wholeNumber } from '../../options.js';
import { type Codec, checkInner } from './codecs.js';
import {
  type Algorithm,
  checkCompression,
  compress,
  decompress,
  numberOf,
  whyNotUnpacked,
} from './compression.js';
import { isByteArray, lengthOf } from './data.js';

export interface CompressedOptions {
  /** 'deflate' unless said otherwise; 'zstd' where Node.js has it. */
  algorithm?: Algorithm | undefined;
  /** 1 (the default) to 9 of deflate, 1 to 22 (3) of zstd. */
  level?: number | undefined;
  /** The most that a record may unpack to (16 MiB): what claims more is damaged, or was made to harm. */
  maxBytes?: Size | undefined;
}

const MOST_BYTES = '16MiB';
const MOST_EVER = 2 ** 30;
const AS_IT_IS = 0;
/** How it was packed, and to how many bytes it unpacks. */
const HEAD_BYTES = 5;

/** Compresses what another codec makes, where that makes it smaller. */
export function compressed<In, Out>(
  inner: Codec<In, Out>,
  options: Algorithm | CompressedOptions = {},
): Codec<In, Out> {
  checkInner(inner);
  const given = typeof options === 'string' ? { algorithm: options } : options;
  knownOptions('compressed', given, ['algorithm', 'level', 'maxBytes']);
  const { algorithm = 'deflate', level, maxBytes = MOST_BYTES } = given as CompressedOptions;
  checkCompression(algorithm, level);
  const most = wholeNumber('maxBytes', parseSize('maxBytes', maxBytes), 1, MOST_EVER);
  return {
    refused: () => inner.refused?.(),
    encode(value) {
      const data = inner.encode(value);
      const parts = (Array.isArray(data) ? [...data] : [data]) as (Uint8Array | string)[];
      const bytes = bytesOf(parts);
      // No data, or not what it says that it is: whoever writes it refuses that.
      if (bytes === undefined) return [Buffer.of(AS_IT_IS), ...parts];
      if (bytes.length > most) {
        inner.refused?.();
        throw tooLarge(bytes.length, most);
      }
      const packed = compress(bytes, algorithm, level);
      if (HEAD_BYTES + packed.length > bytes.length) return [Buffer.of(AS_IT_IS), bytes];
      const head = Buffer.allocUnsafe(HEAD_BYTES);
      head[0] = numberOf(algorithm);
      head.writeUInt32LE(bytes.length, 1);
      return [head, packed];
    },
    decode: (bytes) => inner.decode(unpacked(bytes, most)),
  };
}

function unpacked(bytes: Buffer, most: number): Buffer {
  const [number] = bytes;
  if (number === AS_IT_IS) return bytes.subarray(1);
  if (bytes.length < HEAD_BYTES) throw corrupt(`${bytes.length} bytes are too few`);
  const unknown = whyNotUnpacked(number);
  if (unknown !== undefined) {
    throw new MillraceError('ERR_FORMAT', `A record is compressed: ${unknown}`, { compression: number });
  }
  const length = bytes.readUInt32LE(1);
  if (length === 0 || length > most) {
    throw corrupt(`it claims to unpack to ${length} bytes, and may to ${most} at most`);
  }
  const value = decompress(bytes.subarray(HEAD_BYTES), number, length);
  if (value === undefined) throw corrupt('it does not unpack to what it should be');
  return value;
}

function corrupt(what: string): MillraceError {
  return new MillraceError('ERR_CORRUPT', `A record is not one that was compressed: ${what}`);
}

function tooLarge(size: number, max: number): MillraceError {
  return new MillraceError('ERR_RECORD_TOO_LARGE', `${size} bytes are more than a reader unpacks: ${max}`, {
    size,
    max,
  });
}

/** All of them in one; undefined where one is no data, or can't be had as long as it says that it is. */
function bytesOf(parts: (Uint8Array | string)[]): Uint8Array | undefined {
  const all = parts.map(bytesOfPart);
  if (!all.every((part) => part !== undefined)) return undefined;
  return all.length === 1 ? all[0] : Buffer.concat(all);
}

function bytesOfPart(part: unknown): Uint8Array | undefined {
  if (typeof part === 'string') return Buffer.from(part);
  return isByteArray(part) && isWhole(part) ? part : undefined;
}

function isWhole(part: Uint8Array): boolean {
  try {
    lengthOf(part);
    return true;
  } catch {
    return false;
  }
}
