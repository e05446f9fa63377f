import { binding } from '../../native.js';
import { loadPosition, type Mapped, type Place, whereLeads } from '../file/index.js';
import * as L from '../layout.js';
import {
  evictAgain,
  gateFrom,
  isGating,
  observeFrom,
  releaseSlot,
  SLOT_POSITION,
  slotWord,
  WriterWatch,
} from '../presence/index.js';
import {
  Arrival,
  Backoff,
  Cursor,
  EvictedGuard,
  type Guard,
  OvertakenGuard,
  Places,
  RecordMaker,
  type Where,
} from '../reading/index.js';
import { Checker, isCutOff } from '../recovery/index.js';
import { explain, type Teller } from '../runtime/index.js';
import { ARRIVAL, ROUNDS_FOR_RECORDS, Sleeper, strategyOf, throwIfAborted } from '../waiting/index.js';
import { joinReaders, NEVER, openForReading, type ReaderOptions } from './joining.js';

const LIMIT = L.LIMIT_OFFSET >> 2;
const DEAD_AFTER_MS = 1000;

/** All that a reader has of one channel: a place in its table, a cursor, somewhere to sleep. */
export class Session<Out> {
  readonly channel: Mapped;
  readonly cursor: Cursor;
  readonly checker: Checker | undefined;
  readonly maker: RecordMaker<Out>;
  readonly watch: WriterWatch;
  readonly sleeper: Sleeper;
  readonly arrival: Arrival;
  readonly #overtaken: OvertakenGuard | undefined;
  readonly #places: Places;
  readonly #slot: number | undefined;
  readonly #gating: boolean;

  private constructor(
    channel: Mapped,
    options: ReaderOptions<Out>,
    teller: Teller,
    checker: Checker | undefined,
  ) {
    this.channel = channel;
    this.checker = checker;
    this.#places = new Places(channel, checker);
    const { slot, gating, evictAfterMs } = joinReaders(channel, options);
    this.#slot = slot;
    this.#gating = gating;
    let guard: Guard | undefined;
    if (channel.header.mode === 'ring' && !gating) {
      const oldest = () => this.#land(() => this.#places.oldest());
      this.#overtaken = new OvertakenGuard(channel, slot, options.onLost ?? 'throw', oldest, teller);
      guard = this.#overtaken;
    } else if (gating && evictAfterMs !== NEVER) {
      guard = new EvictedGuard(channel, slot as number, () => this.#places.oldest(), teller);
    }
    this.cursor = new Cursor(channel, guard, options.idle === 'spin' ? undefined : new Backoff(), checker);
    if (slot !== undefined) this.cursor.publishIn(slotWord(channel, slot) + SLOT_POSITION);
    this.maker = new RecordMaker(this.cursor, channel.header.frameHeader, options.codec);
    this.watch = new WriterWatch(channel);
    this.sleeper = new Sleeper(channel, ARRIVAL, ROUNDS_FOR_RECORDS);
    this.arrival = new Arrival(
      channel,
      this.cursor,
      this.watch,
      this.sleeper,
      strategyOf(options.idle),
      options.onDeath === 'wait' ? Number.POSITIVE_INFINITY : (options.deadAfterMs ?? DEAD_AFTER_MS),
      options.follow === true ? () => this.isReplaced() : undefined,
    );
  }

  /** Opens the channel and joins its readers, at the place that the options say. */
  static async open<Out>(path: string, options: ReaderOptions<Out>, teller: Teller): Promise<Session<Out>> {
    const channel = await openForReading(path, options);
    let session: Session<Out> | undefined;
    try {
      if (channel.writable) binding().allowWrites(channel.file, channel.header.dataOffset);
      // In RAM that costs little and spares the first records a page fault each; a disk is left to read ahead.
      if (channel.inRam) await binding().populateFile(channel.file, 0);
      // In RAM nothing decays; what was cut off is checked wherever it lies.
      const verify = options.verify ?? (!channel.inRam || isCutOff(channel));
      const checker = verify && channel.header.checksums ? await Checker.of(channel) : undefined;
      throwIfAborted(options.signal, { what: `Opening ${path}`, path });
      session = new Session<Out>(channel, options, teller, checker);
      session.seek(options.from ?? (channel.header.mode === 'ring' ? 'latest' : 'oldest'));
      return session;
    } catch (error) {
      if (session === undefined) binding().closeFile(channel.file);
      else session.close();
      throw explain(error, channel.path, 'open');
    }
  }

  /** Goes to another place; who was evicted joins again by it. Where that fails, it stands where it stood. */
  seek(where: Where): void {
    if (where === this.cursor.position && this.#isHeld()) return;
    const route = this.#places.routeTo(where);
    const landed = this.#land(() => this.#places.find(route));
    this.cursor.moveTo(landed.position, landed.record);
  }

  /** Whether the writer waits for this reader: then what it stands at is there, also where no mark says so. */
  #isHeld(): boolean {
    return this.#gating && this.#slot !== undefined && isGating(this.channel, this.#slot);
  }

  /** Makes the writer know of a new place, before anything is read there. */
  #land(landing: () => Place): Place {
    let place = landing();
    if (this.#slot === undefined) return place;
    if (this.#gating) {
      try {
        gateFrom(this.channel, this.#slot, place.position, () => {
          place = landing();
          return place.position;
        });
      } catch (error) {
        // The goal was overwritten meanwhile. Whoever was evicted, before this seek or in it, may stand at overwritten
        // bytes, too: limit says so, now that the slot is registered. Others held what they stand at all along.
        const limit = loadPosition(this.channel.words, LIMIT);
        if (limit - this.cursor.position > this.channel.header.capacity) evictAgain(this.channel, this.#slot);
        else this.cursor.publishAgain();
        throw error;
      }
    } else {
      observeFrom(this.channel, this.#slot, place.position);
    }
    return place;
  }

  get lostRecords(): number {
    return this.#overtaken?.lostRecords ?? 0;
  }

  /** Whether the path is another file's by now: that of a channel that took this one's place. */
  isReplaced(): boolean {
    return whereLeads(this.channel) === 'elsewhere';
  }

  close(): void {
    this.sleeper.close();
    if (this.#slot !== undefined) releaseSlot(this.channel, this.#slot);
    binding().closeFile(this.channel.file);
  }
}
