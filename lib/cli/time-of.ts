const MILLISECONDS = /^@\d+$/;
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?$/i;

/** A time as people write it, a date or @ and milliseconds since 1970, in milliseconds; undefined where it is none. */
export function timeOf(given: string): number | undefined {
  const time = MILLISECONDS.test(given) ? Number(given.slice(1)) : timeOfDate(given);
  // What is read and written has microseconds.
  return time >= 0 && Number.isSafeInteger(time * 1000) ? time : undefined;
}

/** Not a number where it is none: to `Date` any text with a number in it may be one, and February has 31 days. */
function timeOfDate(given: string): number {
  const [, day] = ISO.exec(given) ?? [];
  return day !== undefined && isDay(day) ? Date.parse(given) : Number.NaN;
}

function isDay(day: string): boolean {
  const midnight = new Date(day);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}
