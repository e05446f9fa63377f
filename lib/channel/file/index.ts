export { beginsAsChannel } from './beginning.js';
export {
  noteFailedSync,
  pagesFor,
  parseSync,
  refuseFailedSync,
  ringsDoNotLast,
  type Sync,
  showSync,
  syncChannel,
  syncFailed,
} from './durability.js';
export {
  decodeStatic,
  encodeHeader,
  encodeMetadata,
  type Header,
  isCountable,
  isMetadata,
  LARGEST_PART,
  MAX_FILE_BYTES,
  type Mode,
  planFile,
} from './header.js';
export { headerRemains } from './header-remains.js';
export { incarnationOf } from './incarnation.js';
export { LINK_BYTES, type Link, NO_SUCCESSOR, readLink, writeLink } from './link.js';
export {
  type Mapped,
  offsetAt,
  openMapped,
  positionAt,
  STATE,
  viewMapping,
  WRITER_LOCK_BYTE,
  wordAt,
} from './mapped.js';
export { Marker } from './marker.js';
export { type Mark, Marks, type Place } from './marks.js';
export {
  behindLink,
  danglingLinkAt,
  type FileIdentity,
  isFile,
  refuseDanglingLink,
  statOf,
  whereLeads,
} from './named.js';
export {
  fence,
  HIGH_UNIT,
  highOf,
  join,
  loadAcquire,
  loadPosition,
  loadSplit,
  raisePosition,
  readFrozen,
  releaseSplit,
  stampOf,
  storePosition,
  storeRelease,
  storeSplit,
  writeFrozen,
} from './words.js';
