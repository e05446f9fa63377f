export { type ReadableOptions, type ReadableSource, readable } from './readable.js';
export { type WritableOptions, writable } from './writable.js';
