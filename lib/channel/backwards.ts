import { MillraceError } from '../errors.js';
import type { Codec } from './codecs.js';
import { Cursor } from './cursor.js';
import { type Guard, OvertakenGuard } from './guard.js';
import type { Mapped } from './mapped.js';
import { type ReaderRecord, RecordMaker } from './record.js';
import { Places } from './seek.js';

/**
 * Reads backwards, mark by mark: from each mark forward to where the last stretch began, handed out the other way
 * round. Nobody holds the writer back for this, so in a ring it ends where the writer overwrites.
 */
export function* backwards<Out>(
  channel: Mapped,
  from: number,
  codec: Codec<never, Out> | undefined,
  assertOpen: () => void,
): Generator<ReaderRecord<Out>, void, undefined> {
  const places = new Places(channel);
  const guard: Guard | undefined =
    channel.header.mode === 'ring' ? new OvertakenGuard(channel, 'throw', () => places.oldest()) : undefined;
  const cursor = new Cursor(channel, guard, undefined);
  const maker = new RecordMaker(cursor, channel.header.frameHeader, codec);
  let end = from;
  while (end > places.oldest().position) {
    const start = places.before(end - 16);
    if (start.position >= end) return;
    const stretch: ReaderRecord<Out>[] = [];
    cursor.moveTo(start.position, start.record);
    try {
      cursor.pollUntil(
        () => cursor.position >= end,
        (bytes, at, until, type) => stretch.push(maker.make(bytes, at, until, type)),
      );
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'ERR_OVERTAKEN') return;
      throw error;
    }
    for (let i = stretch.length - 1; i >= 0; i--) {
      yield stretch[i];
      assertOpen();
    }
    end = start.position;
  }
}
