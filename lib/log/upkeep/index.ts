export { type Compacted, type CompactOptions, checkCompactOptions } from './compaction.js';
export { Upkeep } from './upkeep.js';
