import type { MillraceError } from '../../errors.js';
import {
  join,
  LINK_BYTES,
  type Link,
  type Mapped,
  NO_SUCCESSOR,
  storeRelease,
  writeFrozen,
  writeLink,
} from '../file/index.js';
import * as L from '../layout.js';
import { Flow } from '../presence/index.js';
import {
  changedMeanwhile,
  copyData,
  type Data,
  DescribedRecord,
  isByteArray,
  lengthOf,
  measure,
  taken,
  trueLength,
} from '../records/index.js';
import type { Start } from '../recovery/index.js';
import { ARRIVAL, fencesItself, wakeSleepers } from '../waiting/index.js';
import { Publisher } from './publisher.js';
import { claimIsOpen, LastRefusal, Refusal, writtenWithin } from './refusal.js';
import { Sizes } from './sizes.js';

/** Nothing may be filled: every write has to come through `place`. */
const NOTHING = 0;
// V8 folds a module's own constants into its code; imported ones are loaded and checked each time.
const { KIND_DATA, FLAG_BATCH_GOES_ON, FRAME_HEADER_EXTENDED, RESERVED_BYTES } = L;
const getLength = trueLength;

const WAITERS = L.WAITERS_OFFSET >> 2;

/** All of `lengthOf` that is on the hot path. */
function lengthHere(data: Uint8Array, path: string): number {
  const { length } = data;
  return length === 0 || getLength.call(data) !== length ? lengthOf(data, path) : length;
}

/**
 * The writing end of the stream of frames: fills and commits. All of the hot path is here; it works with
 * 32-bit integers only, since a number past 2^31 that is stored or passed on would be an allocation.
 *
 *   at        byte of the mapping where the next frame goes     dataStart ... dataEnd
 *   bias      what at / 16 lacks to the frame's stamp, the low 32 bits of its position / 16; changes once a lap
 *   until     byte of the mapping up to which frames may be filled without another thought
 *   due       byte of the mapping at which the frame goes that a mark or the tail is waiting for
 *
 * A frame is filled with plain stores, the *next* frame's length word is zeroed, then the length is stored
 * with release: whoever sees the length sees the frame, and a 0 behind it, never the bytes of an earlier lap.
 */
export class Appender {
  readonly frameHeader: number;
  readonly bytes: Buffer;
  readonly flow: Flow;
  readonly sizes: Sizes;
  readonly lastRefusal = new LastRefusal();
  /** Set where nothing more may be written: every write then comes through `place`, which says so. */
  stopped: (() => MillraceError) | undefined;
  busy = false;

  readonly #words: Int32Array;
  readonly #publisher: Publisher;
  readonly #latestUs: Float64Array;
  readonly #channel: Mapped;
  readonly #ring: boolean;
  readonly #dataStart: number;
  readonly #dataEnd: number;
  readonly #maxRecord: number;
  readonly #fencesItself = fencesItself();

  #at: number;
  #bias: number;
  #until = NOTHING;
  #due: number;
  /** Where the bytes granted by readers end, as a stamp. */
  #granted: number;

  /** Records since the last publication. */
  #unpublished = 0;
  /** Of the batch that was filled last: what its first frame's length will be, and the latest time in it. */
  #firstLength = 0;
  readonly #filledUs = new Float64Array(1);

  constructor(channel: Mapped, start: Start) {
    const { header } = channel;
    this.#channel = channel;
    this.#words = channel.words;
    this.bytes = channel.bytes;
    this.frameHeader = header.frameHeader;
    this.#ring = header.mode === 'ring';
    this.#maxRecord = header.maxRecord;
    // `| 0` here and below: a whole number that was reckoned in floating point would make its field a double for ever.
    this.#dataStart = header.dataOffset | 0;
    this.#dataEnd = (header.dataOffset + header.capacity) | 0;
    this.flow = new Flow(channel);
    this.sizes = new Sizes(channel);

    const from = start.position - header.basePosition;
    // A linear channel whose writer left not a byte free goes on at its end, not at its start.
    const laps = this.#ring ? Math.floor(from / header.capacity) : 0;
    this.#at = (this.#dataStart + from - laps * header.capacity) | 0;
    this.#publisher = new Publisher(channel, start, this.#at, laps);
    this.#latestUs = this.#publisher.latestUs;
    this.#granted = this.#publisher.stamp;
    this.#bias = (this.#publisher.stamp - (this.#at >> 4)) | 0;
    this.#due = this.#publisher.due;
    if (!this.#ring) {
      // A linear channel is never held back: all of it is granted from the start.
      this.#granted = ((header.basePosition + header.capacity) / 16) | 0;
    }
    this.#settle();
  }

  get position(): number {
    const stamp = this.#stamp;
    const { stamp: published, high } = this.#publisher;
    return join(stamp >>> 0 < published >>> 0 ? high + 1 : high, stamp) * 16;
  }

  get #stamp(): number {
    return ((this.#at >> 4) + this.#bias) | 0;
  }

  get records(): number {
    return this.#publisher.records + this.#unpublished;
  }

  /** Bytes of frames that fit now, headers counted. */
  get remaining(): number {
    const room = this.#ring ? this.flow.room(this.#stamp) << 4 : this.#dataEnd - this.#at;
    return Math.max(0, room - RESERVED_BYTES);
  }

  /** Appends one record; returns the bytes of the stream it took, or a refusal. */
  append(data: Data, type: number, tag: number, timeUs: number): number {
    if (!isByteArray(data)) return this.#appendOther(data, type, tag, timeUs);
    const length = lengthHere(data, this.#channel.path);
    const need = (length + this.frameHeader + 15) & -16;
    if (this.#at + need > this.#until || length > this.#maxRecord) {
      const refusal = this.#reserve(length);
      if (refusal < 0) return refusal;
    }
    const at = this.#at;
    this.bytes.set(data, at + this.frameHeader);
    this.#fill(at, at + need, KIND_DATA | (type << 16), tag, timeUs);
    this.#commit(at, at + need, length + this.frameHeader, timeUs);
    return need;
  }

  #appendOther(given: Data, type: number, tag: number, timeUs: number): number {
    const data = taken(given);
    const length = measure(data, this.#channel.path);
    const need = this.#reserve(length);
    if (need < 0) return need;
    const at = this.#at;
    copyData(this.bytes, at + this.frameHeader, data, length, this.#channel.path);
    this.#fill(at, at + need, KIND_DATA | (type << 16), tag, timeUs);
    this.#commit(at, at + need, length + this.frameHeader, timeUs);
    return need;
  }

  /** Sees that a record of this payload fits at `at`: the bytes it takes, or a refusal. */
  #reserve(length: number): number {
    const need = (length + this.frameHeader + 15) & -16;
    if (length > this.#maxRecord) return this.#tooLarge(length);
    if (this.#at + need > this.#until) {
      const refusal = this.#place(need, length);
      if (refusal < 0) return refusal;
    }
    return need;
  }

  /** Everything of the frame [at, next) but its payload and its length; and the 0 that ends the stream behind it. */
  #fill(at: number, next: number, kind: number, tag: number, timeUs: number): void {
    const words = this.#words;
    const word = at >> 2;
    words[word + 1] = kind;
    words[word + 2] = (at >> 4) + this.#bias;
    words[word + 3] = 0;
    if (this.frameHeader === FRAME_HEADER_EXTENDED) this.#extend(word, tag, timeUs);
    // step 60
    words[(next === this.#dataEnd ? this.#dataStart : next) >> 2] = 0;
  }

  #extend(word: number, tag: number, timeUs: number): void {
    const words = this.#words;
    words[word + 4] = timeUs | 0;
    words[word + 5] = (timeUs / 4294967296) | 0;
    words[word + 6] = tag | 0;
    words[word + 7] = (tag / 4294967296) | 0;
  }

  /** Stores the length: from here on every reader sees the record, and all that was stored before it. */
  #commit(at: number, next: number, length: number, timeUs: number): void {
    // step 1
    storeRelease(this.#words, at >> 2, length);
    // step 2
    this.#at = next;
    this.#unpublished++;
    if (this.#words[WAITERS] !== 0 || this.#fencesItself) wakeSleepers(this.#channel, ARRIVAL);
    if (timeUs > this.#latestUs[0]) this.#latestUs[0] = timeUs;
    if (at >= this.#due) this.publish();
  }

  /**
   * Publishes the tail and sets the marks that are due. Both name committed frames only: this runs after a
   * commit, never inside a batch.
   */
  publish(): void {
    const unpublished = this.#unpublished;
    this.#unpublished = 0;
    this.#publisher.publish(this.#at, this.#stamp, unpublished);
    this.#due = this.#publisher.due;
  }

  /** Goes on behind what somebody else appended since this one's last publication; on a linear channel. */
  goOn(start: Start): void {
    const { basePosition } = this.#channel.header;
    this.#at = (this.#dataStart + start.position - basePosition) | 0;
    this.#unpublished = 0;
    this.#publisher.goOn(start, this.#at);
    this.#due = this.#publisher.due;
    this.#settle();
  }

  /** From this byte of the mapping on each publication calls `notified`, which asks for the next place. */
  notify(at: number, notified: () => void): void {
    this.#publisher.notify(at, notified);
  }

  /** The slow path: sees that `need` bytes fit at `at`, or notes that what is of this size was refused. */
  #place(need: number, size: number): number {
    const refusal = this.#tryPlace(need);
    if (refusal === Refusal.BACK_PRESSURE || refusal === Refusal.FULL) {
      this.lastRefusal.noRoom(this.position, need, this.#padFor(need) + need + RESERVED_BYTES, size);
    }
    return refusal;
  }

  /** What is left of a lap that `need` bytes don't fit in. */
  #padFor(need: number): number {
    const lapLeft = this.#dataEnd - this.#at;
    return this.#ring && need > lapLeft ? lapLeft : 0;
  }

  /** In one piece, going over the end of a ring with a PAD frame. Publishes the tail before more is granted. */
  #tryPlace(need: number): number {
    if (this.stopped !== undefined) return Refusal.ENDED;
    if (this.busy) throw claimIsOpen(this.#channel.path);
    if (this.#ring && this.#at === this.#dataEnd) this.#wrap();
    if (!this.#ring) {
      return need + RESERVED_BYTES <= this.#dataEnd - this.#at ? this.#settle() : Refusal.FULL;
    }
    const pad = this.#padFor(need);
    const want = pad + need + RESERVED_BYTES;
    if (want > this.#grantedBytes()) {
      this.publish();
      const granted = this.flow.grant(this.position, this.#stamp, want >> 4);
      if (granted === 0) return Refusal.BACK_PRESSURE;
      this.#granted = (this.#stamp + granted) | 0;
    }
    if (pad > 0) this.#padLap(pad);
    return this.#settle();
  }

  /** Fills what is left of the lap with one frame that says nothing, as little as 16 bytes: no extension. */
  #padLap(length: number): void {
    const words = this.#words;
    const word = this.#at >> 2;
    words[word + 1] = L.KIND_PAD;
    words[word + 2] = this.#stamp;
    words[word + 3] = 0;
    words[this.#dataStart >> 2] = 0;
    // step 5
    storeRelease(words, word, length);
    // step 6
    this.#at = this.#dataEnd;
    this.#wrap();
  }

  #grantedBytes(): number {
    return ((this.#granted - this.#stamp) | 0) << 4;
  }

  #settle(): number {
    this.#until = this.#at + Math.min(this.#grantedBytes() - RESERVED_BYTES, this.#dataEnd - this.#at);
    return 0;
  }

  /** From the end of the data to its start. Nothing may be filled there by what was granted up to that end. */
  #wrap(): void {
    this.publish();
    this.#bias = (this.#publisher.stamp - (this.#dataStart >> 4)) | 0;
    this.#at = this.#due = this.#dataStart;
    this.#publisher.wrap(this.#dataStart);
    this.#settle();
  }

  #tooLarge(size: number): number {
    if (this.stopped !== undefined) return Refusal.ENDED;
    if (this.busy) throw claimIsOpen(this.#channel.path);
    this.lastRefusal.tooLarge(this.position, size);
    return Refusal.TOO_LARGE;
  }

  // What is only asked about is not refused: nothing is noted of it.

  /** Whether what was refused could be written now: 0, or the refusal it would get. */
  tryRefused(refused: LastRefusal): number {
    const { position } = this;
    if (this.busy) throw claimIsOpen(this.#channel.path);
    if (refused.isForEverAt(position)) return Refusal.TOO_LARGE;
    const need = Math.max(refused.needAt(position), this.frameHeader);
    return this.#at + need > this.#until ? this.#tryPlace(need) : 0;
  }

  /** Whether a record of this payload could be written now: 0, or the refusal it would get. */
  tryReserve(length: number): number {
    if (this.busy) throw claimIsOpen(this.#channel.path);
    if (length > this.#maxRecord) return Refusal.TOO_LARGE;
    const need = (length + this.frameHeader + 15) & -16;
    return this.#at + need > this.#until ? this.#tryPlace(need) : 0;
  }

  /** Reserves `length` bytes that the caller fills; nothing is visible, and a crash leaves nothing, before commit. */
  openClaim(length: number): number {
    const need = this.#reserve(length);
    if (need < 0) return need;
    this.busy = true;
    // step 63
    this.#until = NOTHING;
    return this.#at + this.frameHeader;
  }

  commitClaim(length: number, type: number, tag: number, timeUs: number): number {
    const at = this.#at;
    const need = (length + this.frameHeader + 15) & -16;
    this.abortClaim();
    if (this.stopped !== undefined) throw this.stopped();
    this.#fill(at, at + need, KIND_DATA | (type << 16), tag, timeUs);
    this.#commit(at, at + need, length + this.frameHeader, timeUs);
    return need;
  }

  /** Its length is still 0, so there is nothing to take back. */
  abortClaim(): void {
    this.busy = false;
    if (this.stopped === undefined) this.#settle();
  }

  /**
   * Appends all of the records or none; returns the bytes of the stream they took, or a refusal. They lie in one
   * piece: no PAD and no slow path comes between them. Plain bytes are tagged from `tag` on, in steps of `tagStep`.
   */
  appendBatch(
    records: readonly Uint8Array[] | readonly DescribedRecord[],
    timeUs: number,
    tag = 0,
    tagStep = 0,
  ): number {
    // What stands for an array may say anything.
    const count = records.length >>> 0;
    if (count === 0) return this.stopped === undefined ? 0 : Refusal.ENDED;
    let bytes = this.#fillBatch(records, count, timeUs, tag, tagStep);
    if (bytes === 0) {
      const tooLarge = this.sizes.batchTooLarge(records);
      if (tooLarge !== undefined) return this.#tooLarge(tooLarge.size as number);
      const need = this.sizes.batchBytes(records);
      const refusal = this.#place(need, need);
      if (refusal < 0) return refusal;
      bytes = this.#fillBatch(records, count, timeUs, tag, tagStep);
      if (bytes === 0) throw changedMeanwhile('batch', this.#channel.path);
    }
    if (bytes < 0) return bytes;
    const at = this.#at;
    // step 7
    storeRelease(this.#words, at >> 2, this.#firstLength);
    // step 8
    this.#at = at + bytes;
    this.#unpublished += count;
    if (this.#words[WAITERS] !== 0 || this.#fencesItself) wakeSleepers(this.#channel, ARRIVAL);
    if (this.#filledUs[0] > this.#latestUs[0]) this.#latestUs[0] = this.#filledUs[0];
    if (this.#at > this.#due) this.publish();
    return bytes;
  }

  /**
   * Fills the frames of a batch, all but the first one's length: that is stored last, by the one release store that
   * covers the whole batch. Returns their bytes, or a refusal; 0 where they don't fit here, and then nothing has happened:
   * as long as the first length is 0, nobody looks behind it, and whatever is written here next ends in a 0 of its own.
   *
   * Each record is looked at once, and not at all once it is committed: an array may have computed elements, which are
   * others another time, or throw. So the checks are written to fail for a length that is no number.
   */
  #fillBatch(
    records: readonly Uint8Array[] | readonly DescribedRecord[],
    count: number,
    timeUs: number,
    tag: number,
    tagStep: number,
  ): number {
    const words = this.#words;
    const frameHeader = this.frameHeader;
    const start = this.#at;
    const until = Math.min(this.#until, start + this.sizes.largestBatch);
    let at = start;
    let latestUs = 0;
    for (let i = 0; i < count; i++) {
      const record = records[i];
      const plain = isByteArray(record);
      if (!plain && !(record instanceof DescribedRecord)) throw changedMeanwhile('batch', this.#channel.path);
      const length = plain ? lengthHere(record, this.#channel.path) : record.length;
      // Who computes it may have ended the channel right here, opened a claim, which is of the same room, or written a
      // record of its own.
      if (this.stopped !== undefined) return Refusal.ENDED;
      if (this.busy) throw claimIsOpen(this.#channel.path);
      if (this.#at !== start) throw writtenWithin(this.#channel.path);
      const next = at + ((length + frameHeader + 15) & -16);
      if (!(next <= until && length <= this.#maxRecord)) return 0;
      const kind = i === count - 1 ? KIND_DATA : KIND_DATA | FLAG_BATCH_GOES_ON;
      if (plain) {
        this.bytes.set(record, at + frameHeader);
        this.#fill(at, next, kind, tag + i * tagStep, timeUs);
        if (timeUs > latestUs) latestUs = timeUs;
      } else {
        copyData(this.bytes, at + frameHeader, record.data, length, this.#channel.path);
        const ownUs = record.timeUs ?? timeUs;
        this.#fill(at, next, kind | (record.type << 16), record.tag, ownUs);
        if (ownUs > latestUs) latestUs = ownUs;
      }
      if (at === start) this.#firstLength = length + frameHeader;
      else words[at >> 2] = length + frameHeader;
      // step 62
      at = next;
    }
    this.#filledUs[0] = latestUs;
    return at - start;
  }

  /**
   * The last frame of a stream: END, or LINK with where the stream goes on. RESERVED bytes were kept free behind
   * every record for this very frame and a PAD before it. Left out if readers stand even there, or whoever wrote before
   * kept nothing free. Returns the byte of the mapping where the stream ends.
   */
  appendEnd(as: 'closed' | 'sealed', link?: Link): number {
    const words = this.#words;
    const length = this.frameHeader + (as === 'closed' ? 0 : LINK_BYTES);
    if (this.#ring && this.#at === this.#dataEnd) this.#wrap();
    this.publish();
    const lapLeft = this.#dataEnd - this.#at;
    if (!this.#ring && length > lapLeft) return this.#at;
    const pad = length > lapLeft ? lapLeft : 0;
    const need = pad + ((length + 15) & -16);
    if (this.#ring && this.#grantedBytes() < need) {
      // A writer that resumed and wrote nothing: what its predecessor was granted is not its own. Or a PAD and a
      // LINK, which together may be longer than what is kept free.
      if (this.flow.grant(this.position, this.#stamp, need >> 4) === 0) return this.#at;
    }
    if (pad > 0) this.#padLap(pad);
    const word = this.#at >> 2;
    words[word + 1] = as === 'closed' ? L.KIND_END : L.KIND_LINK;
    words[word + 2] = this.#stamp;
    words[word + 3] = 0;
    if (this.frameHeader === L.FRAME_HEADER_EXTENDED) this.#extend(word, 0, 0);
    if (as === 'sealed') {
      const here = { position: this.position, record: this.records, incarnation: NO_SUCCESSOR };
      writeLink(words, word + (this.frameHeader >> 2), link ?? here);
    }
    // step 9
    storeRelease(words, word, length);
    // step 10
    const end = this.#at + ((length + 15) & -16);
    this.#publisher.sumUpTo(end);
    return end;
  }

  /** Says how far a sync reached, where there is room to say so; readers pass over it. Returns the bytes it took. */
  appendCheckpoint(synced: number): number {
    const length = this.frameHeader + L.CHECKPOINT_BYTES;
    const at = this.#at;
    const next = at + ((length + 15) & -16);
    if (next > this.#until) return 0;
    writeFrozen(this.#words, (at + this.frameHeader) >> 2, synced);
    this.#fill(at, next, L.KIND_CHECKPOINT, 0, 0);
    storeRelease(this.#words, at >> 2, length);
    this.#at = next;
    if (at >= this.#due) this.publish();
    return next - at;
  }

  /** Says no to every write from here on. */
  stop(reason: () => MillraceError): void {
    this.stopped = reason;
    this.#until = NOTHING;
  }
}
