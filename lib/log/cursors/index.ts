export { CursorFile } from './cursor-file.js';
export type { CursorEntry, CursorFault } from './cursor-slots.js';
export { type CursorInfo, type CursorSetOptions, NamedCursor } from './named-cursor.js';
