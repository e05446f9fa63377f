import { type Cursor, NO_LIMIT, type RecordHandler } from './cursor.js';

/** Thrown by a handler that wants to stop at its record: a record whose handler throws is not consumed. */
const HALT = Symbol('halt');

/** Hands out records until `stop` says, before one is handed out, that it is not to be. */
export function pollUntil(cursor: Cursor, stop: () => boolean, handler: RecordHandler): void {
  try {
    cursor.poll((bytes, start, end, type) => {
      if (stop()) throw HALT;
      handler(bytes, start, end, type);
    }, NO_LIMIT);
  } catch (error) {
    if (error !== HALT) throw error;
  }
}
