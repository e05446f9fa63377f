import { highOf, type Mapped, type Mark, Marker, Marks, wordAt } from '../file/index.js';

/**
 * Sets the marks that a dead writer did not get to, of frames that it had committed: from the place on that they were counted
 * from, up to their end. Returns the first stride that has none yet, for whoever goes on.
 */
export function setMissingMarks(channel: Mapped, from: Mark, end: number): number {
  const { words, header } = channel;
  const { basePosition, capacity, dataOffset, markCount, markStride } = header;
  const marks = new Marks(words, header);
  const last = marks.strideOf(end);
  let missing = marks.strideOf(from.position);
  while (missing <= last && (marks.read(missing)?.position ?? end) < end) missing++;
  if (missing > last) return missing;
  const marker = new Marker(channel, dataOffset, from.maxTimeUs);
  const lastLap = Math.floor((end - basePosition) / capacity);
  let { position, record } = from;
  for (let lap = Math.floor((position - basePosition) / capacity); ; lap++) {
    const slot = Math.max(0, missing - lap * markCount);
    marker.nextAt = Math.min(dataOffset + slot * markStride, dataOffset + capacity);
    const until = Math.min(end, basePosition + (lap + 1) * capacity);
    const at = wordAt(channel, position) * 4;
    const units = position / 16;
    record += marker.walk(at, at + until - position, highOf(units), units | 0, record);
    position = until;
    if (lap === lastLap) return lap * markCount + marker.nextSlot;
  }
}
