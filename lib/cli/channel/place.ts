import type { Where } from '../../index.js';
import { UsageError, type Verb } from '../command.js';
import { timeOf } from '../time-of.js';

/** A place in a channel, as people write it. */
export function placeInChannel(verb: Verb, given: string): Where {
  if (given === 'oldest' || given === 'latest') return given;
  const [, kind, value = ''] = /^(?:(record|time):)?(.+)$/.exec(given) ?? [];
  const number = kind !== 'time' && /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number)) return kind === 'record' ? { record: number } : number;
  const us = kind === 'record' ? undefined : timeOf(value);
  if (us !== undefined) return { time: { us } };
  throw new UsageError(
    `${verb.name}: --from takes oldest, latest, a position, record:N, a time such as 2026-11-21T05:00:00Z, or @ and ` +
      `milliseconds since 1970, not '${given}'`,
    verb.name,
  );
}
