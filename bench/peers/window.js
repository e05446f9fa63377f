const RECORDS = 4096;
const BYTES = 8 << 20;

/** So many records of that size may be under way where nothing else sets an end to it. */
export function mostUnderWay(size) {
  return Math.min(RECORDS, Math.floor(BYTES / size));
}
