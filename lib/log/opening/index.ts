export { isAppendedTo, openToAppend } from './appending.js';
export type { AppendingEnd } from './appending-end.js';
export type { LogRecovery } from './recovery.js';
