export {
  type Codec,
  checkCodec,
  type Decoder,
  type Encoder,
  json,
  jsonOf,
  type Sequenced,
  sequenced,
  type Timestamped,
  timestamped,
  utf8,
} from './codecs.js';
export { type CompressedOptions, compressed } from './compressed.js';
export {
  type Algorithm,
  type Compression,
  type CompressionSettings,
  checkCompression,
  compress,
  compressionOf,
  decompress,
  needsOtherNode,
  numberOf,
  whyNotUnpacked,
} from './compression.js';
export { Copier, partOf } from './copier.js';
export {
  areBytes,
  type BatchRecord,
  changedMeanwhile,
  copyData,
  type Data,
  DescribedRecord,
  isByteArray,
  lengthOf,
  measure,
  type RecordOptions,
  taken,
  trueLength,
} from './data.js';
export { type BatchOf, checkType, Describer } from './describe.js';
