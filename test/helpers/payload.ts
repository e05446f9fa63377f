const PERIOD = 251;
const pattern = Buffer.from(Array.from({ length: 2 * PERIOD + 4096 }, (_, i) => (i * 7 + 1) % PERIOD));

/** Bytes that tell which record they are of and where in it they stand; cheap to make and to compare. */
export function payloadOf(record: number, length: number): Buffer {
  const from = (record * 31) % PERIOD;
  if (length <= 4096) return pattern.subarray(from, from + length);
  const bytes = Buffer.allocUnsafe(length);
  // The pattern repeats each PERIOD bytes, so whole periods join without a seam.
  const whole = pattern.subarray(from, from + PERIOD * 16);
  for (let at = 0; at < length; at += whole.length)
    bytes.set(whole.subarray(0, Math.min(whole.length, length - at)), at);
  return bytes;
}
