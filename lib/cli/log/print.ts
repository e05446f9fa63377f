import { MillraceError } from '../../index.js';
import type { BatchesOptions, Log, LogRecord } from '../../log/index.js';
import { type Output, say } from '../output.js';
import type { OnProgress } from '../progress.js';
import { type Gap, gapText, type Printer } from './printer.js';

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
  let passed: number | undefined;
  for (;;) {
    try {
      for await (const batch of log.batches({ ...rest })) {
        for (const record of batch) {
          // The first one may have more; behind damage none is that.
          if (first !== undefined && bytesOf(record) > (rest.maxBytes ?? Number.POSITIVE_INFINITY))
            return sound;
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
      const gap = gapOf(error, what);
      if (gap !== undefined) printer.gap(gap);
      if (gap?.next === undefined || what.cursor !== undefined || !isFurther(gap.next, passed, what)) {
        throw advised(error, log, what);
      }
      sound = false;
      passed = rest.from = gap.next;
      say(`${log.path} is damaged ${gapText(gap)} (${gap.code})`);
    }
  }
}

/** Who follows has no other end. */
function isCutShort({ signal, follow }: What): boolean {
  return signal?.aborted === true && follow !== true;
}

function take(rest: What, record: LogRecord): void {
  if (rest.limit !== undefined) rest.limit--;
  if (rest.maxBytes !== undefined) rest.maxBytes = Math.max(0, rest.maxBytes - bytesOf(record));
}

function bytesOf({ value, key }: LogRecord): number {
  return value.length + (key?.length ?? 0);
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
function advised(error: unknown, { path }: Log, what: What): unknown {
  const next = what.cursor === undefined ? undefined : gapOf(error, what)?.next;
  if (next === undefined) return error;
  const { code, message } = error as MillraceError;
  const command = `millrace log cursors ${path} set ${what.cursor} ${next}`;
  return new MillraceError(code, `${message}; ${command} has the cursor go on behind it`);
}

/** Damage goes on being told where it leads nowhere. */
function isFurther(next: number, passed: number | undefined, { reverse }: What): boolean {
  return passed === undefined || (reverse === true ? next < passed : next > passed);
}

/** What a read can go on behind. A cursor is not moved over it but by whoever knows what that means. */
export function gapOf(error: unknown, { reverse }: Pick<What, 'reverse'> = {}): Gap | undefined {
  if (!(error instanceof MillraceError)) return undefined;
  const { code, offset, nextOffset, from = 0, to = 0 } = error as MillraceError & { nextOffset?: number };
  if (code === 'ERR_GAP')
    return reverse === true ? { code, from: to - 1, next: from - 1 } : { code, from, next: to };
  return 'nextOffset' in error ? { code, from: offset, next: nextOffset } : undefined;
}
