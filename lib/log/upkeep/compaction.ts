import { type CompressionSettings, environment, SegmentReader } from '../../channel/index.js';
import { invalidArgument } from '../../errors.js';
import { checkSignal, knownOptions, show } from '../../options.js';
import type { CursorFile } from '../cursors/index.js';
import { diskBytes, indexOfRecord, rewriteSegment, type SegmentFile } from '../files/index.js';
import type { CompactionSettings } from '../options.js';
import { type OnProgress, Progress } from '../progress.js';
import { Judging, type ReadSegment, replaced } from './judging.js';
import { type TidiedLog, Tidying } from './tidying.js';

export interface CompactOptions {
  /** Ends it with ERR_ABORTED; what is compacted by then is. */
  signal?: AbortSignal | undefined;
  /** Called now and then with the bytes that are done, and all there are. */
  onProgress?: OnProgress | undefined;
}

/** What compacting a log came to. */
export interface Compacted {
  /** How many segments were replaced. */
  segments: number;
  /** How many records are gone. */
  records: number;
  /** How much of the disk was given back; below zero where batches that had to be packed anew take more than before. */
  bytes: number;
}

/** What whoever compacts has to know of the log. */
export interface CompactedLog extends TidiedLog {
  cursors: CursorFile;
  /** Brings all that was appended so far to the disk; resolves with the offset behind it. */
  synced(signal: AbortSignal): Promise<number>;
  /** Does this while no segment is removed or replaced by anybody else. */
  alone<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  compression: CompressionSettings | undefined;
}

/** Bytes for the keys of one pass. */
const KEY_MEMORY = 256 * 2 ** 20;

export function checkCompactOptions(options: CompactOptions): void {
  knownOptions('compact', options, ['signal', 'onProgress']);
  checkSignal(options.signal);
  const { onProgress } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidArgument(`onProgress must be a function, not ${show(onProgress)}`);
  }
}

/**
 * Takes out of a log what nobody needs any more: of each key all values but the last, tombstones that were there long
 * enough, and what has expired. Offsets stay, and so does each segment, if only as an empty one. The segments are replaced
 * one by one from the oldest on, so that nothing that was over comes to be the last value of its key, whenever this ends.
 */
export class Compaction {
  readonly #log: CompactedLog;
  readonly #tidying: Tidying;
  readonly #tombstonesUs: number;
  readonly #memory: number;

  constructor(log: CompactedLog, { tombstonesMs }: CompactionSettings, memory = KEY_MEMORY) {
    this.#log = log;
    this.#tidying = new Tidying(log);
    this.#tombstonesUs = tombstonesMs * 1000;
    this.#memory = memory;
  }

  /** Segments of which less than `minDeadRatio` would go stay as they are. Never two of these at once. */
  async run(
    minDeadRatio: number,
    onProgress: OnProgress | undefined,
    signal: AbortSignal,
  ): Promise<Compacted> {
    const compacted: Compacted = { segments: 0, records: 0, bytes: 0 };
    // What a power cut could take away must not be what others went for.
    const limit = await this.#log.synced(signal);
    const files = await this.#log.alone(() => this.#tidying.segments(), signal);
    const end = this.#endOf(files, limit);
    const judged = files.filter(({ base }) => base < end);
    if (judged.length === 0) return compacted;
    const progress = new Progress(onProgress);
    progress.expect(judged);
    const nowUs = environment.nowUs();
    const judging = new Judging({
      directory: this.#log.directory,
      end,
      limit,
      nowUs,
      tombstonesUs: this.#tombstonesUs,
      memory: this.#memory,
    });
    // Nothing behind the limit is looked at, whatever may have been put there.
    const looked = files.filter(({ base }) => base < limit);
    await judging.run(looked, progress, signal);
    const replacing = new Replacing(this.#log, judging, minDeadRatio, compacted, signal);
    try {
      for (const [i, segment] of judging.segments.slice(0, judged.length).entries()) {
        // None of them is the last file.
        await replacing.replace(segment, files[i + 1].base);
        progress.did(segment);
      }
    } finally {
      this.#log.directory.mappings.sweep();
    }
    return compacted;
  }

  /** Where that begins which stays as it is: the last segment on the disk, or the one that the lowest cursor stands in. */
  #endOf(files: readonly SegmentFile[], limit: number): number {
    const lowest = this.#log.cursors.lowest() ?? limit;
    return files[indexOfRecord(files, Math.min(lowest, limit))]?.base ?? 0;
  }
}

/** Replaces segments by what is left of them, in their order. */
class Replacing {
  readonly #log: CompactedLog;
  readonly #judging: Judging;
  readonly #minDeadRatio: number;
  readonly #compacted: Compacted;
  readonly #signal: AbortSignal;
  /** Whether something that is gone was left in an earlier segment. */
  #leftSome = false;

  constructor(
    log: CompactedLog,
    judging: Judging,
    minDeadRatio: number,
    compacted: Compacted,
    signal: AbortSignal,
  ) {
    this.#log = log;
    this.#judging = judging;
    this.#minDeadRatio = minDeadRatio;
    this.#compacted = compacted;
    this.#signal = signal;
  }

  /** `end`: where the segment behind it begins. */
  async replace(segment: ReadSegment, end: number): Promise<void> {
    const { gone, late } = this.#judging;
    const { from, to } = segment;
    const hasGone = gone.hasAny(from, to);
    if (!hasGone && (this.#leftSome || !late.hasAny(from, to))) return;
    const isReplaced = await this.#log.alone(() => this.#rewrite(segment, end), this.#signal);
    if (!isReplaced && hasGone) this.#leftSome = true;
  }

  /** Whether a cursor has still to read something of it: one may have been made, or set back, since all were looked at. */
  #isUnread(end: number): boolean {
    const lowest = this.#log.cursors.lowest();
    return lowest !== undefined && lowest < end;
  }

  async #rewrite({ path, incarnation, from }: ReadSegment, end: number): Promise<boolean> {
    const before = diskBytes(path);
    // It was removed meanwhile.
    if (before === undefined) return true;
    if (incarnationOf(path) !== incarnation) throw replaced(path);
    if (this.#isUnread(end)) return false;
    const { gone, late } = this.#judging;
    const takesLate = !this.#leftSome;
    let place = from;
    const keep = () => {
      const at = place++;
      return !gone.has(at) && !(takesLate && late.has(at));
    };
    const rewritten = await rewriteSegment(path, {
      keep,
      leastWon: this.#minDeadRatio,
      isBeforeDurable: true,
      compression: this.#log.compression,
      // Making the new one takes a while.
      mayReplace: () => {
        this.#log.assertNamed();
        return !this.#isUnread(end);
      },
      signal: this.#signal,
    });
    if (rewritten === undefined) return false;
    this.#compacted.segments++;
    this.#compacted.records += rewritten.dropped;
    this.#compacted.bytes += before - (diskBytes(path) ?? 0);
    return true;
  }
}

function incarnationOf(path: string): number {
  const reader = SegmentReader.openNow(path, { readOnly: true });
  reader.close();
  return reader.incarnation;
}
