const MILLISECONDS = /^@\d+$/;
const ISO = /^\d{4}-\d\d-\d\d/;

/** A time as people write it, a date or @ and milliseconds since 1970, in milliseconds; undefined where it is none. */
export function timeOf(given: string): number | undefined {
  let time = Number.NaN;
  if (MILLISECONDS.test(given)) time = Number(given.slice(1));
  else if (ISO.test(given)) time = Date.parse(given);
  // What is read and written has microseconds.
  return time >= 0 && Number.isSafeInteger(time * 1000) ? time : undefined;
}
