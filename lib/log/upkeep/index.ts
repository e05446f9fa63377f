export { type Compacted, type CompactOptions, checkCompactOptions } from './compaction.js';
export { every } from './every.js';
export { Upkeep } from './upkeep.js';
