/**
 * A second opinion on the bytes of a channel. Every number here was copied by hand from docs/format.md; nothing comes
 * from the library, so that what the two agree on is what the page says.
 */

export interface Frame {
  position: number;
  length: number;
  kind: number;
  type: number;
  payload: Buffer;
  timestamp: number | undefined;
  tag: number | undefined;
  /** The number of the first record at or behind it. */
  record: number;
}

export interface Mark {
  slot: number;
  position: number;
  record: number;
  time: number;
}

export const KIND = { DATA: 1, PAD: 2, END: 3, LINK: 4, CHECKPOINT: 5 };
export const STATE = { OPEN: 1, SEALED: 2, CLOSED: 3, ABANDONED: 4 };
export const SLOT = { FREE: 0, CLAIMING: 1, GATING: 2, OBSERVING: 3, EVICTED: 4 };

/** Bit by bit: slow, and nothing like the library's. `crc` goes on from an earlier part. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  let rest = crc ^ 0xffffffff;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const odd = (rest ^ (byte >> bit)) & 1;
      rest = (rest >>> 1) ^ (odd === 1 ? 0x82f63b78 : 0);
    }
  }
  return (rest ^ 0xffffffff) >>> 0;
}

export class Opinion {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  u32(at: number): number {
    return this.bytes.readUInt32LE(at);
  }

  frozen(at: number): number {
    return Number(this.bytes.readBigUInt64LE(at));
  }

  split(at: number): number {
    const high = this.u32(at);
    if (high !== this.u32(at + 8)) throw new Error(`The high parts of the split word at ${at} differ`);
    return high * 2 ** 32 + this.u32(at + 4);
  }

  position(at: number): number {
    return this.split(at) * 16;
  }

  hex(at: number, length: number): string {
    return this.bytes.toString('hex', at, at + length);
  }

  /** The static part, by the table of that name. */
  fixed() {
    return {
      magic: this.bytes.toString('latin1', 0, 8),
      major: this.u32(8),
      minor: this.u32(12),
      endianTag: this.u32(16),
      incompatible: this.u32(20),
      compatible: this.u32(24),
      checksum: this.u32(28),
      channelId: this.hex(32, 16),
      incarnation: this.u32(48),
      mode: this.u32(52),
      frameHeader: this.u32(56),
      checksumKind: this.u32(60),
      created: this.frozen(64),
      capacity: this.u32(72),
      dataOffset: this.u32(76),
      readersOffset: this.u32(80),
      readerSlots: this.u32(84),
      metadataOffset: this.u32(88),
      metadataLength: this.u32(92),
      marksOffset: this.u32(96),
      marks: this.u32(100),
      markStride: this.u32(104),
      largestPayload: this.u32(108),
      basePosition: this.frozen(112),
      baseRecord: this.frozen(120),
      heartbeatMs: this.u32(128),
      stalledAfterMs: this.u32(132),
      creatorPid: this.u32(136),
      creatorStart: this.frozen(144),
      bootId: this.hex(152, 16),
      syncKind: this.u32(168),
      syncMs: this.u32(172),
      syncBytes: this.u32(176),
    };
  }

  /** The mutable words, by the table of that name. */
  words() {
    return {
      state: this.u32(512),
      reason: this.u32(516),
      finalPosition: this.position(520),
      tail: this.position(640),
      recordCount: this.split(652),
      limit: this.position(768),
      heartbeat: this.u32(896),
      writerPid: this.u32(900),
      writerStart: this.frozen(904),
      writerBootId: this.hex(912, 16),
      wakeSequence: this.u32(1024),
      waiters: this.u32(1152),
      roomWanted: this.u32(1280),
      roomSequence: this.u32(1408),
      registrationSequence: this.u32(1536),
      durablePosition: this.position(1664),
      refusals: this.u32(1792),
      evictions: this.u32(1796),
      wakes: this.u32(1800),
      resumes: this.u32(1804),
    };
  }

  slot(index: number) {
    const at = 4096 + 128 * index;
    const word = this.u32(at);
    const name = this.bytes.subarray(at + 64, at + 128);
    return {
      generation: word >>> 4,
      state: word & 15,
      position: this.position(at + 4),
      pid: this.u32(at + 16),
      start: this.frozen(at + 20),
      overtaken: this.u32(at + 28),
      lostBytes: this.frozen(at + 32),
      evictAfterMs: this.u32(at + 40),
      name: name.toString('utf8').replace(/\0+$/, ''),
    };
  }

  metadata(): unknown {
    const { metadataOffset, metadataLength } = this.fixed();
    if (metadataLength === 0) return {};
    return JSON.parse(this.bytes.toString('utf8', metadataOffset, metadataOffset + metadataLength));
  }

  /** What the checksum at 28 should be. */
  headerChecksum(): number {
    const fixed = Buffer.from(this.bytes.subarray(0, 256));
    fixed.fill(0, 28, 32);
    const { metadataOffset } = this.fixed();
    return crc32c(this.bytes.subarray(metadataOffset, metadataOffset + 4096), crc32c(fixed));
  }

  /** Where the parts of the file must lie, by the tables under "File map". */
  map() {
    const { mode, capacity, readerSlots } = this.fixed();
    const least = Math.min(65536, capacity / 16);
    const stride = mode === 2 ? least : Math.floor(least / 16) * 16;
    const marks = Math.ceil(capacity / stride);
    const metadataOffset = 4096 + 128 * readerSlots;
    const marksOffset = metadataOffset + 4096;
    const dataOffset = Math.ceil((marksOffset + 32 * marks) / 16384) * 16384;
    return {
      readersOffset: 4096,
      metadataOffset,
      marksOffset,
      marks,
      markStride: stride,
      dataOffset,
      fileBytes: dataOffset + capacity,
    };
  }

  /** The first byte before the data that is not 0 though the page gives it no meaning. */
  strayByte(): number | undefined {
    const { metadataOffset, metadataLength, marksOffset, marks, dataOffset, readerSlots } = this.fixed();
    const known: [number, number][] = [
      [0, 140],
      [144, 180],
      [512, 532],
      [640, 664],
      [768, 780],
      [896, 928],
      [1024, 1028],
      [1152, 1156],
      [1280, 1284],
      [1408, 1412],
      [1536, 1540],
      [1664, 1676],
      [1680, 1696],
      [1792, 1808],
    ];
    for (let slot = 0; slot < readerSlots; slot++) {
      const at = 4096 + 128 * slot;
      known.push([at, at + 44], [at + 64, at + 128]);
    }
    known.push([metadataOffset, metadataOffset + metadataLength], [marksOffset, marksOffset + 32 * marks]);
    let from = 0;
    for (const [start, end] of [...known, [dataOffset, dataOffset]]) {
      for (let at = from; at < start; at++) if (this.bytes[at] !== 0) return at;
      from = end;
    }
    return undefined;
  }

  strideOf(position: number): number {
    const { basePosition, capacity, marks, markStride } = this.fixed();
    const from = position - basePosition;
    return Math.floor(from / capacity) * marks + Math.floor((from % capacity) / markStride);
  }

  /** Where the writer may have overwritten all below. */
  leastStanding(): number {
    const { basePosition, capacity, mode } = this.fixed();
    return mode === 1 ? basePosition : Math.max(basePosition, this.words().limit - capacity);
  }

  /** The marks that may be used, by the rules under "Reading". */
  marks(): Mark[] {
    const { marksOffset, marks } = this.fixed();
    const { tail } = this.words();
    const lastStride = this.strideOf(tail);
    const usable: Mark[] = [];
    for (let slot = 0; slot < marks; slot++) {
      const at = marksOffset + 32 * slot;
      const sequence = this.u32(at);
      if (sequence === 0 || sequence % 2 === 1) continue;
      const summed = Buffer.concat([
        this.bytes.subarray(at + 4, at + 28),
        this.bytes.subarray(48, 52), // the incarnation
      ]);
      if (crc32c(summed) !== this.u32(at + 28)) throw new Error(`The checksum of mark ${slot} does not hold`);
      const position = this.frozen(at + 4) * 16;
      if (position < this.leastStanding() || position >= tail) continue;
      // The newest stride that this slot may stand for; or the one a lap before.
      let asked = lastStride - ((lastStride - slot) % marks);
      if (asked > this.strideOf(position)) asked -= marks;
      const ahead = this.strideOf(position) - asked;
      if (ahead < 0 || ahead >= marks) continue;
      usable.push({ slot, position, record: this.frozen(at + 12), time: this.frozen(at + 20) });
    }
    return usable;
  }

  /** From the oldest place that is known, frame by frame, up to a length of 0 or the end of the stream. */
  walk(): Frame[] {
    const { basePosition, baseRecord, capacity, dataOffset, frameHeader, mode } = this.fixed();
    let place = { position: basePosition, record: baseRecord };
    if (this.leastStanding() > basePosition) {
      const oldest = this.marks().toSorted((a, b) => a.position - b.position)[0];
      if (oldest === undefined) throw new Error('There is no mark to begin at');
      place = oldest;
    }
    const frames: Frame[] = [];
    let { position, record } = place;
    for (;;) {
      const offset = (position - basePosition) % capacity;
      // A linear channel has one lap.
      if (mode === 1 && position - basePosition === capacity) return frames;
      const frame = this.#frameAt(dataOffset + offset, position, record, frameHeader, capacity - offset);
      if (frame === undefined) return frames;
      frames.push(frame);
      if (frame.kind === KIND.END || frame.kind === KIND.LINK) return frames;
      if (frame.kind === KIND.DATA) record++;
      position += Math.ceil(frame.length / 16) * 16;
    }
  }

  /** By the rules under "Checksums". */
  #checkChecksum(at: number, covered: number, position: number, wrong: (what: string) => Error): void {
    const { checksumKind, mode } = this.fixed();
    const { state, durablePosition } = this.words();
    const found = this.u32(at + 12);
    if (found === 0) {
      const ended = state === STATE.CLOSED || state === STATE.SEALED;
      if (checksumKind === 1 && mode === 1 && (ended || position < durablePosition))
        throw wrong('no checksum');
      return;
    }
    if (checksumKind === 0) throw wrong('a checksum');
    const frame = Buffer.from(this.bytes.subarray(at, at + covered));
    frame.fill(0, 12, 16);
    const crc = crc32c(frame, crc32c(this.bytes.subarray(48, 52)));
    if (found !== (crc === 0 ? 1 : crc)) throw wrong(`checksum ${found}, not ${crc}`);
  }

  #frameAt(
    at: number,
    position: number,
    record: number,
    headerLength: number,
    left: number,
  ): Frame | undefined {
    const wrong = (what: string) => new Error(`The frame at position ${position} has ${what}`);
    const length = this.bytes.readInt32LE(at);
    if (length === 0) {
      if (position < this.words().tail) throw wrong('a length of 0 below the tail');
      return undefined;
    }
    const kind = this.bytes[at + 4];
    const header = kind === KIND.PAD ? 16 : headerLength;
    if (!Object.values(KIND).includes(kind)) throw wrong(`kind ${kind}`);
    if (length < header || Math.ceil(length / 16) * 16 > left) throw wrong(`length ${length}`);
    const flags = this.bytes[at + 5];
    if (flags > 1 || (flags === 1 && kind !== KIND.DATA)) throw wrong(`flags ${flags}`);
    if (this.u32(at + 8) !== (position / 16) % 2 ** 32) throw wrong(`stamp ${this.u32(at + 8)}`);
    this.#checkChecksum(at, kind === KIND.PAD ? 16 : length, position, wrong);
    const timed = header === 32;
    return {
      position,
      record,
      length,
      kind,
      type: this.bytes.readUInt16LE(at + 6),
      payload: Buffer.from(this.bytes.subarray(at + header, at + length)),
      timestamp: timed ? this.frozen(at + 16) : undefined,
      tag: timed ? this.frozen(at + 24) : undefined,
    };
  }
}
