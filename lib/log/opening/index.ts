export { type Appending, isAppendedTo, openToAppend } from './appending.js';
export type { LogRecovery } from './recovery.js';
export type { SharedWriter } from './shared-writer.js';
