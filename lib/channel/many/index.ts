export { type ManyHandler, ManyReader, type ManyRecord, type ManyStats } from './many-reader.js';
export { openAll } from './open-all.js';
export type { ManyOptions } from './options.js';
export type { ManySource } from './source.js';
