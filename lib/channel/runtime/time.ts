import { isDate } from 'node:util/types';
import { invalidArgument } from '../../errors.js';
import { show } from '../../options.js';

/** A time going in: milliseconds since 1970, a Date, or microseconds as `{ us }`. What comes out is microseconds. */
export type When = number | Date | { us: number };

export function timeInUs(name: string, when: When): number {
  const us = inUs(when);
  if (Number.isSafeInteger(us) && us >= 0) return us;
  const shown = isDate(when) && Number.isNaN(us) ? 'an invalid Date' : show(when);
  throw invalidArgument(
    `${name} must be milliseconds since 1970, a Date, or { us: microseconds }, not ${shown}`,
  );
}

function inUs(when: When): number {
  if (typeof when === 'number') return Math.round(when * 1000);
  if (isDate(when)) return when.getTime() * 1000;
  return typeof when === 'object' && when !== null ? when.us : Number.NaN;
}
