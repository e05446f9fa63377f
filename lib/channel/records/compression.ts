import zlib from 'node:zlib';
import { invalidArgument } from '../../errors.js';
import { knownOptions, oneOf, wholeNumber } from '../../options.js';
import { zstdFrameEnd } from './zstd-frame.js';

export type Algorithm = 'deflate' | 'zstd';

/** How to compress, as it is asked for. */
export type Compression = Algorithm | { algorithm: Algorithm; level?: number | undefined };

export interface CompressionSettings {
  algorithm: Algorithm;
  level?: number | undefined;
}

/** By how each is named in what was packed. */
const NUMBERS = { deflate: 1, zstd: 2 } as const;
const HIGHEST_LEVEL = { deflate: 9, zstd: 22 } as const;
/** What higher ones save is little, and dear. */
const DEFAULT_LEVEL = { deflate: 1, zstd: 3 } as const;

const LEAST_CHUNK = 64;
const LEAST_WINDOW_LOG = 10;

/** What only newer ones have of the Node.js that this runs on. */
interface Zstd {
  zstdCompressSync(bytes: Uint8Array, options: { params: Record<number, number> }): Buffer;
  zstdDecompressSync(bytes: Uint8Array, options: UnpackOptions): Buffer;
  constants: { ZSTD_c_compressionLevel: number; ZSTD_d_windowLogMax: number };
}

type UnpackOptions = zlib.ZlibOptions & { params?: Record<number, number> };

/** What zlib gives where it is asked for `info`: also how many bytes it used up. */
interface Unpacked {
  buffer: Buffer;
  engine: { bytesWritten: number };
}

const zstd = 'zstdCompressSync' in zlib ? (zlib as unknown as Zstd) : undefined;
const ZSTD_NEEDS = `zstd needs Node.js 22.15, 23.8 or newer, and this is ${process.version}`;

/** Its own object: whoever gave it may change that one. */
export function compressionOf(compression: Compression): CompressionSettings {
  const settings = typeof compression === 'string' ? { algorithm: compression } : compression;
  knownOptions('compression', settings, ['algorithm', 'level']);
  const { algorithm, level } = settings;
  checkCompression(algorithm, level);
  return { algorithm, level };
}

export function checkCompression(algorithm: Algorithm, level?: number): void {
  oneOf('compression', algorithm, ['deflate', 'zstd']);
  if (level !== undefined) wholeNumber(`The level of ${algorithm}`, level, 1, HIGHEST_LEVEL[algorithm]);
  if (algorithm === 'zstd' && zstd === undefined) throw invalidArgument(ZSTD_NEEDS);
}

export function numberOf(algorithm: Algorithm): number {
  return NUMBERS[algorithm];
}

export function compress(bytes: Uint8Array, algorithm: Algorithm, level?: number): Buffer {
  const chosen = level ?? DEFAULT_LEVEL[algorithm];
  if (algorithm === 'deflate') return zlib.deflateRawSync(bytes, { level: chosen });
  const { zstdCompressSync, constants } = zstd as Zstd;
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: chosen } });
}

/** Whether it is known, but only newer ones have it of the Node.js that this runs on: nothing is damaged there. */
export function needsOtherNode(number: number): boolean {
  return number === NUMBERS.zstd && zstd === undefined;
}

/** Why what was packed in this way can't be unpacked here; undefined where it can. */
export function whyNotUnpacked(number: number): string | undefined {
  if (needsOtherNode(number)) return ZSTD_NEEDS;
  const isKnown = number === NUMBERS.deflate || number === NUMBERS.zstd;
  return isKnown ? undefined : `this version of Millrace does not know compression ${number}`;
}

/** The `length` bytes that were packed, with never more memory than they need; undefined where that isn't what it is. */
export function decompress(bytes: Buffer, number: number, length: number): Buffer | undefined {
  if (number === NUMBERS.zstd && zstdFrameEnd(bytes) !== bytes.length) return undefined;
  // One byte more: zlib then sees the end without another chunk.
  const options = { info: true, maxOutputLength: length, chunkSize: Math.max(LEAST_CHUNK, length + 1) };
  try {
    const unpacked =
      number === NUMBERS.zstd ? unZstd(bytes, length, options) : zlib.inflateRawSync(bytes, options);
    const { buffer, engine } = unpacked as unknown as Unpacked;
    // What follows the packed bytes is not theirs.
    return buffer.length === length && engine.bytesWritten === bytes.length ? buffer : undefined;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

function unZstd(bytes: Buffer, length: number, options: zlib.ZlibOptions): Buffer {
  const { zstdDecompressSync, constants } = zstd as Zstd;
  const windowLog = Math.max(LEAST_WINDOW_LOG, Math.ceil(Math.log2(length)));
  return zstdDecompressSync(bytes, { ...options, params: { [constants.ZSTD_d_windowLogMax]: windowLog } });
}

/** Anything but a lack of memory. */
function isDamage(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || code === 'Z_MEM_ERROR' || code === 'ZSTD_error_memory_allocation') return false;
  return code === 'ERR_BUFFER_TOO_LARGE' || code.startsWith('Z_') || code.startsWith('ZSTD_error_');
}
