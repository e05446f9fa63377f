import { MillraceError } from '../../index.js';
import type { BatchesOptions, Log, LogRecord } from '../../log/index.js';
import { type Output, say } from '../output.js';
import type { OnProgress } from '../progress.js';
import type { Gap, Printer } from './printer.js';

type What = Omit<BatchesOptions, 'limit' | 'maxBytes'> & { limit?: number; maxBytes?: number };

interface Ways {
  printer: Printer;
  output: Output;
  onProgress?: OnProgress;
}

/**
 * Prints records, no faster than they are taken. Goes on behind what can't be read where that is possible. True if all
 * was there that was asked for.
 */
export async function printRecords(
  log: Log,
  what: What,
  { printer, output, onProgress }: Ways,
): Promise<boolean> {
  const rest = { ...what };
  let sound = true;
  let first: number | undefined;
  let total: number | undefined;
  let passed = -1;
  for (;;) {
    try {
      for await (const batch of log.batches({ ...rest })) {
        for (const record of batch) {
          take(rest, record);
          if (printer.record(record)) await output.flush();
        }
        await output.flush();
        first ??= batch[0].offset;
        total ??= totalOf(log, what, first);
        onProgress?.(Math.abs((batch.at(-1) as LogRecord).offset - first) + 1, total);
        if (what.signal?.aborted) break;
      }
      return sound && !isCutShort(what);
    } catch (error) {
      if ((error as MillraceError).code === 'ERR_ABORTED') return sound && !isCutShort(what);
      const gap = passable(error, what);
      if (gap === undefined || gap.next <= passed) throw advised(error, log, what);
      sound = false;
      passed = gap.next;
      rest.from = gap.next;
      printer.gap(gap);
      say(`${log.path} is damaged from record ${gap.from} on; goes on at ${gap.next} (${gap.code})`);
    }
  }
}

/** Who follows has no other end. */
function isCutShort({ signal, follow }: What): boolean {
  return signal?.aborted === true && follow !== true;
}

function take(rest: What, { value, key }: LogRecord): void {
  if (rest.limit !== undefined) rest.limit--;
  if (rest.maxBytes !== undefined) {
    rest.maxBytes = Math.max(0, rest.maxBytes - value.length - (key?.length ?? 0));
  }
}

/** How many there are from the first one on; without an end where damage hides that. */
function totalOf(log: Log, { reverse, limit }: What, first: number): number {
  try {
    const there = reverse === true ? first - log.earliest + 1 : log.next - first;
    return Math.min(there, limit ?? there);
  } catch (error) {
    if (error instanceof MillraceError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Damage that ends the reading, with what can be done about it here. */
function advised(error: unknown, { path }: Log, { cursor }: What): unknown {
  const behind = cursor === undefined ? undefined : passable(error, {});
  if (behind === undefined) return error;
  const { code, message } = error as MillraceError;
  const command = `millrace log cursors ${path} set ${cursor} ${behind.next}`;
  return new MillraceError(code, `${message}; ${command} has the cursor go on behind it`);
}

/** What a read can go on behind. A cursor is not moved over it but by whoever knows what that means. */
function passable(error: unknown, { cursor, reverse }: What): Gap | undefined {
  if (!(error instanceof MillraceError) || cursor !== undefined || reverse === true) return undefined;
  const { code, offset, nextOffset, from, to } = error as MillraceError & { nextOffset?: number };
  if (code === 'ERR_GAP') return { code, from: from as number, next: to as number };
  return offset === undefined || nextOffset === undefined
    ? undefined
    : { code, from: offset, next: nextOffset };
}
