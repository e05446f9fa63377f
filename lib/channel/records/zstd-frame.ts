const MAGIC = 0xfd2fb528;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const REPEATED = 1;

/**
 * Where the frame of zstd ends that these bytes begin with (RFC 8878, 3.1.1); undefined where they are none. Node.js itself
 * tells in some versions only: from 26 on it goes on with what follows, and passes over frames that hold nothing.
 */
export function zstdFrameEnd(bytes: Buffer): number | undefined {
  if (bytes.length < 5 || bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const descriptor = bytes[4];
  const hasOneSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  // One segment has the content's size instead of the window's.
  const sizes =
    Math.max(CONTENT_SIZE_BYTES[descriptor >> 6], hasOneSegment ? 1 : 0) + (hasOneSegment ? 0 : 1);
  let at = 5 + sizes + DICTIONARY_ID_BYTES[descriptor & 3];
  for (let isLast = false; !isLast; ) {
    if (at + 3 > bytes.length) return undefined;
    const head = bytes.readUIntLE(at, 3);
    isLast = (head & 1) !== 0;
    at += 3 + (((head >> 1) & 3) === REPEATED ? 1 : head >> 3);
  }
  return at + (hasChecksum ? 4 : 0);
}
