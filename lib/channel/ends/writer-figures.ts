import type { Mapped } from '../file/index.js';
import { Pace, type Rates, Stopwatch, type Times } from '../runtime/index.js';
import type { Sleeper, WaitStats } from '../waiting/index.js';
import type { Appender } from '../writing/index.js';

export interface WriterStats {
  /** Records of the stream, from its start: those too of writers before this one. */
  records: number;
  /** Its bytes, headers counted. */
  bytes: number;
  /** How often readers held the writer back, from the start. */
  refusals: number;
  /** How many readers were evicted, from the start. */
  evictions: number;
  /** Of records and bytes, since it was asked last. */
  rates: Rates<'records' | 'bytes'>;
  /** How this writer waited for room. */
  waits: WaitStats;
  /** How long `ready` and `send` waited for room, where they had to. */
  room: Times;
  /** How long `flush` and `send` waited for the disk. */
  syncs: Times;
}

/** What a writer can tell of itself in figures. */
export class WriterFigures {
  readonly room = new Stopwatch();
  readonly #syncs = new Stopwatch();
  readonly #channel: Mapped;
  readonly #appender: Appender;
  readonly #sleeper: Sleeper;
  readonly #pace: Pace<'records' | 'bytes'>;

  constructor(channel: Mapped, appender: Appender, sleeper: Sleeper) {
    this.#channel = channel;
    this.#appender = appender;
    this.#sleeper = sleeper;
    this.#pace = new Pace(this.#counts);
  }

  /** Times this wait for the disk. */
  async synced(sync: Promise<number>): Promise<number> {
    const beganAt = performance.now();
    const durable = await sync;
    this.#syncs.since(beganAt);
    return durable;
  }

  stats(): WriterStats {
    const counts = this.#counts;
    const { refusals, evictions } = this.#appender.flow;
    return {
      ...counts,
      refusals,
      evictions,
      rates: this.#pace.rates(counts),
      waits: { ...this.#sleeper.stats },
      room: this.room.times,
      syncs: this.#syncs.times,
    };
  }

  get #counts() {
    const { records, position } = this.#appender;
    const { baseRecord, basePosition } = this.#channel.header;
    return { records: records - baseRecord, bytes: position - basePosition };
  }
}
