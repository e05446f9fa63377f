export { SegmentMappings } from './segment-mappings.js';
export { SegmentReader, type SegmentReaderOptions } from './segment-reader.js';
export { examineSealed, provesSync, type SegmentRemains, syncSealed } from './segment-remains.js';
export { asOfSegment, wrongHeader } from './segment-words.js';
export {
  largestInSegment,
  leastCapacity,
  roomInSegment,
  type SegmentDesign,
  type SegmentSettings,
  SegmentWriter,
  segmentBytes,
  segmentPages,
} from './segment-writer.js';
