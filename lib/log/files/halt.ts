/** Thrown by a handler that wants to stop at its frame: one whose handler throws is not consumed. */
export const HALT = Symbol('halt');
