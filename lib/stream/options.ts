import { forget, onAbort, type WaitOptions } from '../channel/index.js';
import { invalidArgument, MillraceError } from '../errors.js';
import { checkWait, knownOptions, oneOf, saidNow, show, wholeNumber } from '../options.js';

/** What streams of both directions take. */
export interface StreamOptions extends WaitOptions {
  /** Chunks are values, not bytes (false). */
  objectMode?: boolean | undefined;
  /** How much the stream holds: bytes, or records in object mode. Default: as Node.js has it. */
  highWaterMark?: number | undefined;
  /** Whether the channel's handle is closed with the stream (true). */
  close?: boolean | undefined;
}

const OF_BOTH = ['objectMode', 'highWaterMark', 'close', 'signal', 'timeoutMs'] as const;

/** Returns them as they are now. */
export function checkStreamOptions<T extends StreamOptions>(
  what: string,
  options: T,
  others: readonly (keyof T & string)[] = [],
): T {
  const known = [...OF_BOTH, ...others];
  knownOptions(what, options, known);
  const own = saidNow(options, known);
  oneOf('objectMode', own.objectMode ?? false, [true, false]);
  oneOf('close', own.close ?? true, [true, false]);
  if (own.highWaterMark !== undefined) {
    wholeNumber('highWaterMark', own.highWaterMark, 0, Number.MAX_SAFE_INTEGER);
  }
  checkWait(own);
  return own;
}

/** Destroys a stream when the user's signal says so. Listens no longer than until `over`. `path`: of what is streamed. */
export function destroyOn(
  signal: AbortSignal | undefined,
  over: AbortSignal,
  path: string | undefined,
  stream: { destroy(error: Error): unknown },
): void {
  if (signal === undefined) return;
  const abort = () => {
    stream.destroy(
      new MillraceError('ERR_ABORTED', 'Streaming a channel: aborted', { path, cause: signal.reason }),
    );
  };
  if (signal.aborted) {
    abort();
    return;
  }
  onAbort(signal, abort);
  over.addEventListener('abort', () => forget(signal, abort), { once: true });
}

/** What to destroy a stream with. Node takes null, and all that is as good as nothing, for success; a codec may throw it. */
export function asError(thrown: unknown, path: string | undefined): Error {
  if (thrown) return thrown as Error;
  return invalidArgument(`Streaming a channel: its codec threw ${show(thrown)}`, { path });
}
