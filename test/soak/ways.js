/** Every way to read all there is from where a reader stands. Each record is shown to `see`; what it throws goes on. */
export const WAYS = {
  async poll(reader, see) {
    while (reader.poll(lent(reader, see)) > 0);
  },
  async copies(reader, see) {
    while (reader.poll(lent(reader, see), { copy: true, limit: 100 }) > 0);
  },
  async read(reader, see) {
    for (let record = reader.read(); record !== undefined; record = reader.read()) see(record);
  },
  async readBatch(reader, see) {
    for (let batch = reader.readBatch(7); batch.length > 0; batch = reader.readBatch(7)) batch.forEach(see);
  },
  async iterate(reader, see) {
    for await (const record of reader) see(record);
  },
  async batches(reader, see) {
    // What is not there at once, nobody writes any more: ERR_TIMEOUT.
    for await (const batch of reader.batches({ max: 100, timeoutMs: 0 })) batch.forEach(see);
  },
};

/** Makes of what is lent what is copied out elsewhere: a channel without timestamps says 0 here, and nothing there. */
function lent(reader, see) {
  return (bytes, start, end, type) => {
    if (!(start >= 0 && end >= start && end <= bytes.length)) throw new Error(`lent ${start} to ${end}`);
    see({
      position: reader.recordPosition,
      record: reader.recordNumber,
      type,
      data: bytes.subarray(start, end),
      timestamp: reader.recordTimestamp || undefined,
      tag: reader.recordTimestamp === 0 ? undefined : reader.recordTag,
    });
  };
}

/**
 * Whether the reader says that this is the end. Nothing to read and no end, without an error, is right only where
 * somebody might still go on: its writer lives, or died.
 */
export function hasEnded(reader, see) {
  if (reader.ended) return true;
  // What went wrong when it looked for the end is told here.
  for (let record = reader.read(); record !== undefined; record = reader.read()) see(record);
  if (reader.ended) return true;
  const { status } = reader;
  if (status === 'alive' || status === 'stalled' || status === 'dead') return false;
  throw new Error(`the channel is ${status}, and there is neither an end of it nor an error`);
}
