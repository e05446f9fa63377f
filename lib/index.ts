export * from './channel/index.js';
export { type ErrorCode, MillraceError } from './errors.js';
export type { Size } from './options.js';
