import { type Mapped, Marks, readFrozen } from '../file/index.js';
import * as L from '../layout.js';
import { damaged, isTrueFrame, nextIntact, plausibleLength } from '../recovery/index.js';

/**
 * The tag of the first record at or behind the start of a frame, before `end`; undefined where there is none, or damage.
 */
export function tagFrom({ words, header }: Mapped, position: number, end: number): number | undefined {
  for (let at = position; at < end; ) {
    const word = (header.dataOffset + ((at - header.basePosition) % header.capacity)) >> 2;
    if ((words[word + 1] & 0xff) === L.KIND_DATA) return readFrozen(words, word + (L.FRAME_TAG_OFFSET >> 2));
    if (words[word] <= 0) return undefined;
    at += (words[word] + 15) & -16;
  }
  return undefined;
}

/**
 * The tag of the last record before the end of a frame, in a linear channel; undefined where there is none. Throws where
 * damage lies behind the last one that can be told: that may have been a record, too.
 */
export function tagBefore(channel: Mapped, position: number): number | undefined {
  const { words, header } = channel;
  const { basePosition } = header;
  const marks = new Marks(words, header);
  for (let end = position; end > basePosition; ) {
    const start = marks.newestAtOrBelow(end - L.FRAME_ALIGN, basePosition)?.position ?? basePosition;
    const tag = lastTagIn(channel, start, end);
    if (tag !== undefined) return tag;
    end = start;
  }
  return undefined;
}

/**
 * Of the frames from one to the end of another. Only of the last record the checksum is looked at, which is believed, and
 * of what says to be none.
 */
function lastTagIn(channel: Mapped, start: number, end: number): number | undefined {
  const { words, header } = channel;
  let tag: number | undefined;
  let last = start;
  let damage: number | undefined;
  for (let at = start; ; ) {
    while (at < end) {
      const length = plausibleLength(channel, at);
      const behind = at + ((length + 15) & -16);
      const isFrame = length > 0 && behind <= end;
      const word = (header.dataOffset + at - header.basePosition) >> 2;
      if (!isFrame) damage = at;
      else if ((words[word + 1] & 0xff) === L.KIND_DATA) {
        const own = readFrozen(words, word + (L.FRAME_TAG_OFFSET >> 2));
        const rises = own > (tag ?? header.baseRecord - 1) && own <= Number.MAX_SAFE_INTEGER;
        damage = rises ? undefined : at;
        if (rises) {
          tag = own;
          last = at;
        }
      } else if (!isTrueFrame(channel, at)) {
        // It may have been a record.
        damage = at;
      }
      at = isFrame ? behind : (nextIntact(channel, at)?.position ?? end);
    }
    if (damage !== undefined) throw damaged(channel, damage);
    if (tag === undefined || isTrueFrame(channel, last)) return tag;
    // What only looks like a frame may hide others.
    damage = last;
    tag = undefined;
    at = nextIntact(channel, last)?.position ?? end;
  }
}
