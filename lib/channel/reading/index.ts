export { Arrival, type Looking, writerDead } from './arrival.js';
export { Backoff } from './backoff.js';
export { backwards } from './backwards.js';
export { Cursor, NO_LIMIT, type RecordHandler } from './cursor.js';
export { EvictedGuard, type Guard, OvertakenGuard } from './guard.js';
export { readersWithLag } from './lag.js';
export { pollUntil } from './poll-until.js';
export { type ReaderRecord, RecordMaker } from './record.js';
export { Places, type Route, type Where } from './seek.js';
