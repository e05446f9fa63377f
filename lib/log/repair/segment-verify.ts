import {
  type ChannelInfo,
  type Fault,
  type Link,
  type SeeRecord,
  SegmentReader,
  type Verification,
  type VerifyOptions,
  verifyRecords,
  wrongHeader,
} from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import {
  factsOf,
  isAllDurable,
  isBroken,
  nextBefore,
  type SegmentFacts,
  type SegmentFile,
} from '../files/index.js';
import { type FrameLook, frameBytes, hasChecksum, lookAtFrame, PACKED } from '../records/index.js';

/** Something in a log that is not as its writer left it. */
export interface LogFault {
  code: 'ERR_FORMAT' | 'ERR_TRUNCATED' | 'ERR_CORRUPT' | 'ERR_GAP';
  message: string;
  /** The file it is in, or that is missing. */
  file: string;
  /** Where in that, and where what can be read goes on, if such a place was found. */
  position?: number;
  next?: number;
  /** The first record that can't be read for it, and the next one that can. */
  offset?: number;
  nextOffset?: number;
}

/** What was found in a segment. */
export interface SegmentReport {
  file: SegmentFile;
  faults: LogFault[];
  /** Whether it only has the name of a segment: none of its records is the log's. */
  isStray: boolean;
  /** Undefined where its header can't be read. */
  info: ChannelInfo | undefined;
  facts: SegmentFacts | undefined;
  /** Records that are whole, and those of them that have a checksum, which held. */
  records: number;
  checked: number;
  /** The offset behind the last of them. */
  next: number;
  /** Where it says that the log goes on. */
  link: Link | undefined;
  maxTimeUs: number;
  /** The offset below which all of it is said to be on the disk; undefined where nothing is. */
  durable: number | undefined;
}

/** Of one whose records are none of the log's. */
export function emptyReport(
  file: SegmentFile,
  info: ChannelInfo | undefined,
  fault: LogFault,
): SegmentReport {
  const { base: next } = file;
  const nothing = { records: 0, checked: 0, maxTimeUs: 0, link: undefined, durable: undefined };
  return { file, faults: [fault], isStray: true, info, facts: undefined, next, ...nothing };
}

/** Of a sealed one that is whole up to a position, and cut off there: the rest is for whoever opens the log. */
export function cutOffReport(file: SegmentFile, info: ChannelInfo, position: number): SegmentReport {
  const { path, base } = file;
  const facts = factsOf(info.metadata, path);
  const next = nextBefore(path, position);
  const records = next - base;
  const durable = info.durable > info.basePosition ? nextBefore(path, info.durable) : undefined;
  const whole = { records, checked: records, next, durable };
  return { file, faults: [], isStray: false, info, facts, link: undefined, maxTimeUs: 0, ...whole };
}

/** A place where offsets are left out, and what should have been there. */
interface Jump {
  from: number;
  to: number;
  /** Positions of what is before and behind it. */
  behind: number;
  at: number;
}

/**
 * Looks through a segment of this log, or one of which nobody can tell; `info`: what it says of itself. Its neighbours are the
 * caller's to compare it with.
 */
export async function verifySegment(
  file: SegmentFile,
  info: ChannelInfo | undefined,
  options: VerifyOptions,
): Promise<SegmentReport> {
  const looking = new Looking(file, info);
  const verification = await verifyRecords(file.path, options, looking.see, (type) => type === PACKED);
  return looking.report(verification);
}

class Looking {
  readonly #file: SegmentFile;
  readonly #info: ChannelInfo | undefined;
  readonly #facts: SegmentFacts | undefined;
  readonly #faults: LogFault[] = [];
  readonly #jumps: Jump[] = [];
  #records = 0;
  #checked = 0;
  #next: number;
  #durable: number;
  #behind = 0;
  #maxTimeUs = 0;

  constructor(file: SegmentFile, info: ChannelInfo | undefined) {
    this.#file = file;
    this.#info = info;
    this.#facts = this.#readFacts();
    this.#next = this.#durable = file.base;
  }

  #readFacts(): SegmentFacts | undefined {
    if (this.#info === undefined) return undefined;
    try {
      return factsOf(this.#info.metadata, this.#file.path);
    } catch (error) {
      this.#add(error as MillraceError, {});
      return undefined;
    }
  }

  readonly see: SeeRecord = (bytes, start, end, type, tag, timeUs, position) => {
    const { first, count } = this.#look(bytes, start, end, type, tag, timeUs, position);
    if (first < this.#next) {
      this.#wrong(`has record ${first} behind record ${this.#next - 1}`, { position, offset: first });
    } else if (first > this.#next) {
      this.#jumps.push({ from: this.#next, to: first, behind: this.#behind, at: position });
    }
    this.#records += count;
    if (hasChecksum(bytes, start)) this.#checked += count;
    this.#next = Math.max(this.#next, tag + 1);
    this.#behind = position + frameBytes(end - start);
    if (this.#info !== undefined && this.#behind <= this.#info.durable) this.#durable = this.#next;
    this.#maxTimeUs = Math.max(this.#maxTimeUs, timeUs);
  };

  /** What can't be read is a fault, and counts for nothing. */
  #look(
    bytes: Buffer,
    start: number,
    end: number,
    type: number,
    tag: number,
    timeUs: number,
    position: number,
  ): FrameLook {
    try {
      const look = lookAtFrame(bytes, start, end, type, tag, timeUs);
      if (look.count <= look.last - look.first && this.#facts?.generation === 0) {
        this.#wrong(`lacks records in the batch that ends with record ${tag}`, {
          position,
          offset: look.first,
        });
      }
      return look;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#add(error, { position, offset: this.#next, nextOffset: tag + 1 });
      return { first: this.#next, last: tag, count: 0 };
    }
  }

  async report({ status, faults, end }: Verification): Promise<SegmentReport> {
    const link = this.#info === undefined ? undefined : await linkOf(this.#file.path);
    if (this.#facts !== undefined) this.#checkDesign();
    // Where the header can't be believed, or words of it say what can't be, nobody knows how far the stream goes.
    const isUnknown = this.#info === undefined || status === undefined;
    this.#addFaults(faults, isUnknown ? undefined : end);
    return {
      file: this.#file,
      faults: this.#faults,
      isStray: false,
      info: this.#info,
      facts: this.#facts,
      records: this.#records,
      checked: this.#checked,
      next: this.#next,
      link,
      maxTimeUs: this.#maxTimeUs,
      durable: this.#durableEnd(link),
    };
  }

  #durableEnd(link: Link | undefined): number | undefined {
    const info = this.#info;
    if (info === undefined || info.durable <= info.basePosition) return undefined;
    return isAllDurable(info) ? (link?.record ?? this.#next) : this.#durable;
  }

  #checkDesign(): void {
    const { mode, basePosition, timestamps, checksum, readerSlots } = this.#info as ChannelInfo;
    const fits = mode === 'linear' && basePosition === 0 && timestamps && checksum === 'crc32c';
    if (!fits || readerSlots !== 0) this.#wrong('is no channel as those of a log are', {});
  }

  /** Those of the channel, with the offsets that are missing there; and offsets that are missing for no such reason. */
  #addFaults(faults: readonly Fault[], end: number | undefined): void {
    const explained = new Set<Jump>();
    for (const fault of faults) {
      const jump = this.#jumps.find(
        ({ behind, at }) => fault.next !== undefined && behind <= fault.next && fault.next <= at,
      );
      if (jump !== undefined) explained.add(jump);
      const isEnd = end === undefined || this.#isBehindAll(fault, end);
      const offset = jump?.from ?? (isEnd ? this.#next : undefined);
      const message = this.#messageOf(fault);
      this.#faults.push({ ...fault, message, file: this.#file.path, offset, nextOffset: jump?.to });
    }
    // Compaction leaves records out.
    if (this.#facts?.generation !== 0) return;
    for (const jump of this.#jumps) {
      if (explained.has(jump)) continue;
      this.#faults.push({
        code: 'ERR_GAP',
        message: `${this.#file.path} lacks records ${jump.from} to ${jump.to - 1}`,
        file: this.#file.path,
        position: jump.at,
        offset: jump.from,
        nextOffset: jump.to,
      });
    }
  }

  #messageOf({ code, message }: Fault): string {
    return code === 'ERR_FORMAT' ? (wrongHeader(this.#file.path) ?? message) : message;
  }

  /** Whether no record is there behind it; what is wrong with a mark is no damage of the stream. */
  #isBehindAll({ position, next }: Fault, end: number): boolean {
    return position !== undefined && position >= this.#behind && (next !== undefined || position === end);
  }

  #wrong(what: string, place: Partial<LogFault>): void {
    const { path } = this.#file;
    this.#faults.push({ code: 'ERR_CORRUPT', message: `${path} ${what}`, file: path, ...place });
  }

  #add({ code, message }: MillraceError, place: Partial<LogFault>): void {
    this.#faults.push({ code: code as LogFault['code'], message, file: this.#file.path, ...place });
  }
}

async function linkOf(path: string): Promise<Link | undefined> {
  try {
    const segment = await SegmentReader.open(path, { readOnly: true });
    try {
      segment.seekLatest();
      return segment.hasEnded() ? segment.link() : undefined;
    } finally {
      segment.close();
    }
  } catch (error) {
    // What is broken was found before. Anything else says nothing of where the log goes on.
    if (isBroken(error)) return undefined;
    throw error;
  }
}
