import { invalidArgument, MillraceError } from '../../errors.js';
import { knownOptions, show, wholeNumber } from '../../options.js';
import { loadPosition, loadSplit, type Mapped, type Mark, Marks, type Place } from '../file/index.js';
import * as L from '../layout.js';
import { type Checker, countedTail, isCutOff } from '../recovery/index.js';
import { timeInUs, type When } from '../runtime/index.js';
import { Cursor } from './cursor.js';
import { type Guard, OvertakenGuard } from './guard.js';
import { pollUntil } from './poll-until.js';
import { tagFrom } from './tags.js';

/** Where to read from: a position as `write` returned it, a record's number, or the first record at or after a time. */
export type Where = 'oldest' | 'latest' | number | { record: number } | { time: When };

/** Throws where it is no place in any channel. Returns it as it is now. */
export function checkWhere(where: Where): Where {
  if (where === 'oldest' || where === 'latest') return where;
  if (typeof where === 'number') return wholeNumber('A position', where, 0, Number.MAX_SAFE_INTEGER);
  if (typeof where === 'object' && where !== null && 'record' in where) {
    knownOptions('A place', where, ['record']);
    return { record: wholeNumber('record', where.record, 0, Number.MAX_SAFE_INTEGER) };
  }
  if (typeof where === 'object' && where !== null && 'time' in where) {
    knownOptions('A place', where, ['time']);
    return { time: { us: timeInUs('time', where.time) } };
  }
  throw invalidArgument(
    `A place to read from is 'oldest', 'latest', a position, { record } or { time }, not ${show(where)}`,
  );
}

const LIMIT = L.LIMIT_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;
const TAIL = L.TAIL_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;

/** A place to begin the walk, and which record to stop at. */
export interface Route {
  /** A place that is known to be the start of a frame, not behind the goal. */
  landing(): Place;
  /** Whether the record that the cursor stands at is the goal or lies behind it. */
  reached(cursor: Cursor): boolean;
  /** Called at the end of the walk: throws if it ended elsewhere than it should. */
  check(cursor: Cursor): void;
  /** How far the goal is from a place: negative before it, 0 there; NaN where only its record could tell. */
  from(place: Place): number;
}

function placeOf({ position, record }: Cursor): Place {
  return { position, record };
}

/** Finds places in a channel by its marks. */
export class Places {
  readonly #channel: Mapped;
  readonly #marks: Marks;
  readonly #checker: Checker | undefined;

  constructor(channel: Mapped, checker: Checker | undefined) {
    this.#channel = channel;
    this.#checker = checker;
    this.#marks = new Marks(channel.words, channel.header);
  }

  /** What still stands: [least, tail). Limit first, tail after: then tail is at or above limit - capacity. */
  #bounds() {
    const { words, header, path } = this.#channel;
    const { basePosition, capacity } = header;
    const limit = loadPosition(words, LIMIT);
    // What the machine's end left of tail and marks is sure as far as it was synced.
    const tail = loadPosition(words, isCutOff(this.#channel) ? DURABLE : TAIL);
    // The tail is published before limit is raised.
    const apart = header.mode === 'ring' && limit - tail > capacity;
    if (limit > Number.MAX_SAFE_INTEGER || tail > Number.MAX_SAFE_INTEGER || apart) {
      throw new MillraceError(
        'ERR_CORRUPT',
        `The header of ${path} is damaged: there is no position ${tail}`,
        {
          path,
          position: tail,
        },
      );
    }
    // Nothing of a linear channel is ever overwritten.
    const least = header.mode === 'linear' ? basePosition : Math.max(basePosition, limit - capacity);
    return { least, tail: Math.max(least, tail) };
  }

  /** The oldest place that can be read from. */
  oldest(): Place {
    const { basePosition, baseRecord } = this.#channel.header;
    for (;;) {
      const { least, tail } = this.#bounds();
      if (least === basePosition) return { position: basePosition, record: baseRecord };
      const marked = this.#marks.oldestAtOrAbove(least, tail);
      if (marked !== undefined) return marked;
      // No mark was left because the writer went on over all of them: look again.
      if (this.#bounds().least === least) return this.#tailPlace();
    }
  }

  /** The tail, with the count that was published beside it where no mark is left to count from. */
  #tailPlace(): Place {
    const { words } = this.#channel;
    for (;;) {
      const counted = countedTail(this.#channel);
      if (counted !== undefined) return counted;
      const position = loadPosition(words, TAIL);
      const record = loadSplit(words, RECORD_COUNT);
      // Else the count may be that of any later one.
      if (loadPosition(words, TAIL) === position) return { position, record };
    }
  }

  /** The last place known at or before `position`. */
  before(position: number): Place {
    const { least, tail } = this.#bounds();
    const known = this.#marks.newestAtOrBelow(Math.min(position, tail - 16), least);
    return known ?? this.oldest();
  }

  #beforeRecord(record: number): Place {
    const { least, tail } = this.#bounds();
    return this.#marks.lastWhere(least, tail, (mark) => mark.record <= record) ?? this.oldest();
  }

  #beforeTime(timeUs: number): Place {
    const { least, tail } = this.#bounds();
    return this.#marks.lastWhere(least, tail, (mark) => mark.maxTimeUs < timeUs) ?? this.oldest();
  }

  #beforeTag(goal: number): Place {
    const { least, tail } = this.#bounds();
    const isBefore = ({ position }: Mark) => {
      const tag = tagFrom(this.#channel, position, tail);
      return tag !== undefined && tag <= goal;
    };
    return this.#marks.lastWhere(least, tail, isBefore) ?? this.oldest();
  }

  /** The tag of the first record at or behind the start of a frame; undefined where there is none, or damage. */
  tagFrom(position: number): number | undefined {
    return tagFrom(this.#channel, position, this.#bounds().tail);
  }

  /**
   * The number of the record at a place that is held: there may be no mark before it any more, so it is counted back from
   * the one behind it.
   */
  recordAt(position: number): number {
    const { tail } = this.#bounds();
    const behind = this.#marks.oldestAtOrAbove(position, tail) ?? this.#tailPlace();
    const scout = this.#scout({ position, record: 0 });
    pollUntil(
      scout,
      () => scout.position >= behind.position,
      () => {},
    );
    return behind.record - scout.record;
  }

  #scout({ position, record }: Place): Cursor {
    const guard = this.#channel.header.mode === 'ring' ? this.#scoutGuard() : undefined;
    const scout = new Cursor(this.#channel, guard, undefined, this.#checker);
    scout.moveTo(position, record);
    return scout;
  }

  /**
   * Walks a route on a cursor of its own: nothing moves and nobody is held back before the place is known. What is
   * damaged on the way is passed over.
   */
  find(route: Route): Place {
    for (;;) {
      const scout = this.#scout(route.landing());
      try {
        const damaged = this.#walkOverDamage(scout, route);
        if (damaged !== undefined) return damaged;
        route.check(scout);
        return placeOf(scout);
      } catch (error) {
        // Overtaken on the way: where the goal itself is gone, landing says so.
        if (!(error instanceof MillraceError) || error.code !== 'ERR_OVERTAKEN') throw error;
      }
    }
  }

  #scoutGuard(): Guard {
    return new OvertakenGuard(this.#channel, undefined, 'throw', () => this.oldest());
  }

  /** Returns the place where damage lies that is the goal, or may be: who reads there hears of it. */
  #walkOverDamage(scout: Cursor, route: Route): Place | undefined {
    let damaged: Place | undefined;
    let behind: Place | undefined;
    for (let next = this.#walk(scout, route); next !== undefined; next = this.#walk(scout, route)) {
      const here = placeOf(scout);
      const goal = route.from(next);
      if (goal < 0) return here;
      if (goal === 0) return next;
      if (behind?.record !== here.record) damaged = here;
      behind = next;
      scout.moveTo(next.position, next.record);
    }
    if (behind === undefined || behind.record !== scout.record) return undefined;
    return Number.isNaN(route.from(behind)) ? damaged : undefined;
  }

  /** Undefined: it is done. Else it met damage, and goes on there. */
  #walk(scout: Cursor, route: Route): Place | undefined {
    try {
      pollUntil(
        scout,
        () => route.reached(scout),
        () => {},
      );
      return undefined;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'ERR_CORRUPT') throw error;
      const { next, record } = error;
      if (next !== undefined && record !== undefined) return { position: next, record };
      // It is the goal itself: who reads there hears of it.
      if (route.reached(scout)) return undefined;
      throw error;
    }
  }

  routeTo(given: Where): Route {
    const where = checkWhere(given);
    if (where === 'oldest') {
      return {
        landing: () => this.oldest(),
        reached: () => true,
        from: () => -1,
        check: () => {},
      };
    }
    if (where === 'latest') {
      return {
        landing: () => this.before(Number.MAX_SAFE_INTEGER),
        reached: () => false,
        from: () => Number.POSITIVE_INFINITY,
        check: () => {},
      };
    }
    if (typeof where === 'number') return this.#routeToPosition(where);
    return 'record' in where ? this.#routeToRecord(where.record) : this.#routeToTime(where.time);
  }

  #routeToPosition(goal: number): Route {
    const { path, header } = this.#channel;
    return {
      landing: () => {
        const oldest = this.oldest();
        if (goal < header.basePosition) {
          throw this.#outOfRange(`${path} begins at position ${header.basePosition}, behind ${goal}`);
        }
        // The oldest place may have moved on between two looks.
        const place = goal < oldest.position ? oldest : this.before(goal);
        if (place.position > goal) throw this.#overwritten(`position ${goal}`, goal, place);
        return place;
      },
      reached: (cursor) => cursor.position >= goal,
      from: ({ position }) => goal - position,
      check: (cursor) => {
        if (cursor.position === goal || this.#isPassedOver(goal, cursor.position)) return;
        throw this.#outOfRange(
          cursor.position < goal
            ? `${path} ends at position ${cursor.position}, before ${goal}`
            : `No record of ${path} starts at position ${goal}`,
        );
      },
    };
  }

  /** A position that was taken at the end of the stream may turn out to be that of a PAD or CHECKPOINT before a record. */
  #isPassedOver(position: number, next: number): boolean {
    const { words, header } = this.#channel;
    const word = (header.dataOffset + ((position - header.basePosition) % header.capacity)) >> 2;
    const kind = words[word + 1] & 0xff;
    const passed = kind === L.KIND_PAD || kind === L.KIND_CHECKPOINT;
    return passed && position + ((words[word] + 15) & -16) === next;
  }

  #routeToRecord(goal: number): Route {
    const { path, header } = this.#channel;
    return {
      landing: () => {
        if (goal < header.baseRecord) {
          throw this.#outOfRange(`${path} begins with record ${header.baseRecord}, behind ${goal}`);
        }
        const oldest = this.oldest();
        const place = goal < oldest.record ? oldest : this.#beforeRecord(goal);
        if (place.record > goal) throw this.#overwritten(`record ${goal}`, undefined, place);
        return place;
      },
      reached: (cursor) => cursor.record >= goal,
      from: ({ record }) => goal - record,
      check: (cursor) => {
        if (cursor.record === goal) return;
        throw this.#outOfRange(
          `The next record of ${path} is ${cursor.record}; there is no record ${goal} yet`,
        );
      },
    };
  }

  #routeToTime(time: When): Route {
    const { path, header } = this.#channel;
    if (header.frameHeader !== L.FRAME_HEADER_EXTENDED) {
      throw invalidArgument(`${path} was made without timestamps; seek by position or record`, { path });
    }
    const goal = timeInUs('time', time);
    return {
      landing: () => this.#beforeTime(goal),
      reached: (cursor) => cursor.timeUs >= goal,
      from: () => Number.NaN,
      check: () => {},
    };
  }

  /** To the first record whose tag is at least this, in a channel whose tags rise. */
  routeToTag(goal: number): Route {
    return {
      landing: () => this.#beforeTag(goal),
      reached: (cursor) => cursor.tag >= goal,
      from: ({ position }) => {
        const tag = this.tagFrom(position);
        // One that lies beyond it may stand for several, the goal among them.
        return tag !== undefined && tag <= goal ? goal - tag : Number.NaN;
      },
      check: () => {},
    };
  }

  #overwritten(what: string, from: number | undefined, oldest: Place): MillraceError {
    const { path } = this.#channel;
    return new MillraceError(
      'ERR_OVERTAKEN',
      `${what} of ${path} is overwritten; the oldest there is starts at position ${oldest.position}, ` +
        `record ${oldest.record}`,
      { path, from, to: oldest.position, record: oldest.record },
    );
  }

  #outOfRange(message: string): MillraceError {
    return invalidArgument(message, { path: this.#channel.path });
  }
}
