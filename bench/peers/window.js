/** As many records as a ring of this size would hold may be under way where nothing else sets an end to it. */
const BYTES = 8 << 20;
const RECORDS = 4096;

export function mostUnderWay(size) {
  return Math.min(RECORDS, BYTES / size);
}
