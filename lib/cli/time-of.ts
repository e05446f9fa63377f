const MILLISECONDS = /^@\d+$/;
const ISO =
  /^(\d{4}-\d\d-\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3}(\d{0,3})\d*)?)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?$/i;

/** A time as people write it, a date or @ and milliseconds since 1970, in microseconds; undefined where it is none. */
export function timeOf(given: string): number | undefined {
  const us = MILLISECONDS.test(given) ? Number(given.slice(1)) * 1000 : timeOfDate(given);
  return us >= 0 && Number.isSafeInteger(us) ? us : undefined;
}

/** Not a number where it is none: to `Date` any text with a number in it may be one, and February has 31 days. */
function timeOfDate(given: string): number {
  const [, day, micros = ''] = ISO.exec(given) ?? [];
  // A `Date` has milliseconds, and leaves out what is behind them.
  return day !== undefined && isDay(day)
    ? Date.parse(given) * 1000 + Number(micros.padEnd(3, '0'))
    : Number.NaN;
}

function isDay(day: string): boolean {
  const midnight = new Date(day);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}
