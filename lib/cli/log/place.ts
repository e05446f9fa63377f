import type { LogWhere } from '../../log/index.js';
import { UsageError, type Verb } from '../command.js';
import { timeOf } from '../time-of.js';

const OFFSET = /^\d+$/;

/** A place in a log, as people write it. */
export function placeInLog(verb: Verb, given: string): LogWhere {
  if (given === 'earliest' || given === 'latest') return given;
  if (OFFSET.test(given) && Number.isSafeInteger(Number(given))) return Number(given);
  const us = timeOf(given);
  if (us !== undefined) return { time: { us } };
  throw new UsageError(
    `${verb.name}: a place is earliest, latest, an offset, a time such as 2026-11-21T05:00:00Z, or @ and ` +
      `milliseconds since 1970, not '${given}'`,
    verb.name,
  );
}
