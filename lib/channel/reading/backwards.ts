import { MillraceError } from '../../errors.js';
import type { Mapped } from '../file/index.js';
import type { Decoder } from '../records/index.js';
import type { Checker } from '../recovery/index.js';
import { Cursor } from './cursor.js';
import { type Guard, OvertakenGuard } from './guard.js';
import { pollUntil } from './poll-until.js';
import { type ReaderRecord, RecordMaker } from './record.js';
import { Places } from './seek.js';

/**
 * Reads backwards, mark by mark: from each mark forward to where the last stretch began, handed out the other way
 * round. Nobody holds the writer back for this, so in a ring it ends where the writer overwrites.
 */
export function* backwards<Out>(
  channel: Mapped,
  from: number,
  checker: Checker | undefined,
  codec: Decoder<Out> | undefined,
  assertOpen: () => void,
): Generator<ReaderRecord<Out>, void, undefined> {
  assertOpen();
  const places = new Places(channel, checker);
  const guard: Guard | undefined =
    channel.header.mode === 'ring'
      ? new OvertakenGuard(channel, undefined, 'throw', () => places.oldest())
      : undefined;
  const cursor = new Cursor(channel, guard, undefined, checker);
  const maker = new RecordMaker<Buffer>(cursor, channel.header.frameHeader, undefined);
  let end = from;
  while (end > places.oldest().position) {
    const start = places.before(end - 16);
    if (start.position >= end) return;
    const stretch: ReaderRecord[] = [];
    let fault: MillraceError | undefined;
    cursor.moveTo(start.position, start.record);
    for (let walking = true; walking; ) {
      try {
        pollUntil(
          cursor,
          () => cursor.position >= end,
          (bytes, at, until, type) => stretch.push(maker.make(bytes, at, until, type)),
        );
        walking = false;
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        if (error.code === 'ERR_OVERTAKEN') return;
        if (error.code !== 'ERR_CORRUPT') throw error;
        // To stop at a frame, that is looked at first.
        if (cursor.position >= end) break;
        // What is whole behind the damage comes first; then whoever reads hears of it.
        fault = error;
        stretch.length = 0;
        walking = error.next !== undefined && error.next < end;
        if (walking) cursor.moveTo(error.next as number, error.record as number);
      }
    }
    for (let i = stretch.length - 1; i >= 0; i--) {
      yield decoded(stretch[i], codec);
      assertOpen();
    }
    if (fault !== undefined) throw fault;
    end = start.position;
  }
}

/** Not before it is handed out: what can't be decoded hides nothing of what is behind it. */
function decoded<Out>(record: ReaderRecord<unknown>, codec: Decoder<Out> | undefined): ReaderRecord<Out> {
  if (codec !== undefined) record.value = codec.decode(record.data);
  return record as ReaderRecord<Out>;
}
