import { type RecordHandler, SegmentReader } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { type Directory, type SegmentFile, walkFrames } from '../files/index.js';
import type { Progress } from '../progress.js';
import {
  EXPIRES,
  KEY,
  NO_KEY,
  PACKED,
  RecordParts,
  TOMBSTONE,
  type UnpackHandler,
  unpackEach,
} from '../records/index.js';
import { Bits } from './bits.js';
import { KeyTable, NO_VALUE } from './key-table.js';

/** Instead of the place of a record that is not judged itself. Nor is one whose place is as large. */
const BEYOND = 0xffffffff;

export interface JudgingRules {
  directory: Directory;
  /** Records from this offset on are not judged; they may still be what makes earlier ones superfluous. */
  end: number;
  /** Records from this offset on are not looked at. */
  limit: number;
  nowUs: number;
  /** How long after its timestamp a tombstone stays. */
  tombstonesUs: number;
  /** Bytes that the keys of one pass may take. */
  memory: number;
}

/** A segment as it was when it was read first. Its records have the places [from, to). */
export interface ReadSegment extends SegmentFile {
  incarnation: number;
  from: number;
  to: number;
}

/**
 * Finds out which records of a log are superfluous, by their places: how many records were read before them. It reads the
 * log in passes: each takes up keys until there is no room for more, and follows those to the end; the next one begins
 * with the first key that found no room, and passes over the records of those that were followed.
 *
 *   gone   its key has a later value; or it is over, and there was no earlier value of its key
 *   late   it is over, but there were earlier values of its key: those must go before it
 */
export class Judging {
  readonly gone = new Bits();
  readonly late = new Bits();
  readonly segments: ReadSegment[] = [];
  /** Records from the next pass's first one on whose keys were followed in an earlier pass. */
  readonly #followed = new Bits();
  readonly #rules: JudgingRules;
  readonly #parts = new RecordParts();
  #table: KeyTable;
  /** Where this pass begins, and where the next one does, if there has to be one. */
  #from = 0;
  #next: number | undefined;
  /** Of the next record. */
  #place = 0;

  constructor(rules: JudgingRules) {
    this.#rules = rules;
    this.#table = new KeyTable(rules.memory);
  }

  async run(files: readonly SegmentFile[], progress: Progress, signal: AbortSignal): Promise<void> {
    progress.expect(files);
    for (const [i, file] of files.entries()) {
      const segment = { ...file, incarnation: 0, from: this.#place, to: this.#place };
      const next = await this.#read(segment, signal);
      this.#refuseGap(next, files[i + 1]);
      segment.to = this.#place;
      this.segments.push(segment);
      progress.did(file);
    }
    while (this.#next !== undefined) await this.#passAgain(this.#next, progress, signal);
  }

  async #passAgain(from: number, progress: Progress, signal: AbortSignal): Promise<void> {
    const segments = this.segments.filter(({ to }) => to > from);
    progress.expect(segments);
    this.#from = from;
    this.#next = undefined;
    this.#table = new KeyTable(this.#rules.memory);
    for (const segment of segments) {
      this.#place = segment.from;
      await this.#read(segment, signal);
      progress.did(segment);
    }
  }

  /** What is missing may come back, and earlier values of keys of which nothing else is left. */
  #refuseGap(from: number | undefined, following: SegmentFile | undefined): void {
    if (from === undefined || following === undefined || following.base <= from) return;
    const { path } = this.#rules.directory;
    const to = following.base;
    throw new MillraceError(
      'ERR_GAP',
      `A segment of ${path} is missing: records ${from} to ${to - 1}. The log is compacted once it is back, or the log repaired`,
      { path, from, to },
    );
  }

  /** Where it says that the log goes on. */
  async #read(segment: ReadSegment, signal: AbortSignal): Promise<number | undefined> {
    const reader = await openUnlessGone(segment.path);
    if (reader === undefined) return undefined;
    try {
      this.#rules.directory.refuseStray(segment, reader.metadata);
      if (segment.incarnation === 0) segment.incarnation = reader.incarnation;
      else if (segment.incarnation !== reader.incarnation) throw replaced(segment.path);
      await walkFrames(reader, this.#frameOf(reader), { signal });
      return reader.link()?.record;
    } finally {
      reader.close();
    }
  }

  #frameOf(reader: SegmentReader): RecordHandler {
    return (bytes, start, end, type) => {
      const { tag, timeUs } = reader;
      if (type === PACKED) unpackEach(bytes, start, end, tag, timeUs, this.#judge);
      else this.#judge(bytes, start, end, type, tag, timeUs);
    };
  }

  readonly #judge: UnpackHandler = (bytes, start, end, type, offset, timeUs) => {
    const place = this.#place++;
    if ((type & (KEY | EXPIRES)) === 0 || place < this.#from || offset >= this.#rules.limit) return;
    const parts = this.#parts;
    parts.find(bytes, start, end, type, offset, timeUs);
    const isJudged = offset < this.#rules.end && place < BEYOND;
    const isOver = isJudged && this.#isOver(type, timeUs, parts.expiresAtUs);
    if (parts.keyStart === NO_KEY) {
      if (isOver) this.gone.add(place);
    } else if (!this.#followed.has(place))
      this.#judgeKey(bytes, parts.keyStart, parts.keyEnd, place, isJudged, isOver);
  };

  #isOver(type: number, timeUs: number, expiresAtUs: number): boolean {
    const { nowUs, tombstonesUs } = this.#rules;
    return expiresAtUs <= nowUs || ((type & TOMBSTONE) !== 0 && timeUs + tombstonesUs <= nowUs);
  }

  #judgeKey(
    bytes: Buffer,
    start: number,
    end: number,
    place: number,
    isJudged: boolean,
    isOver: boolean,
  ): void {
    const table = this.#table;
    const earlier = table.find(bytes, start, end);
    if (earlier !== NO_VALUE) {
      if (earlier !== BEYOND) this.gone.add(earlier);
      table.change(isJudged ? place : BEYOND);
      if (isOver) this.late.add(place);
      if (this.#next !== undefined) this.#followed.add(place);
    } else if (isJudged) {
      // Once there was no room, also none is taken up that is smaller: the next pass begins there.
      if (this.#next !== undefined || !table.add(bytes, start, end, place)) this.#next ??= place;
      else if (isOver) this.gone.add(place);
    }
  }
}

/** Opens a segment to read all of it; undefined where it was removed meanwhile, as then all before it were. */
async function openUnlessGone(path: string): Promise<SegmentReader | undefined> {
  try {
    return await SegmentReader.open(path, { readOnly: true });
  } catch (error) {
    if ((error as MillraceError).code === 'ERR_NOT_FOUND') return undefined;
    throw error;
  }
}

export function replaced(path: string): MillraceError {
  return new MillraceError('ERR_BUSY', `${path} was replaced while the log was compacted`, { path });
}
