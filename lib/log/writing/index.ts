export { AppendLine } from './append-line.js';
export { firstCapacity, type LogEnd, LogWriter } from './log-writer.js';
export { type Appendable, RecordAppender } from './record-appender.js';
export { Sealed, syncUnlessGone } from './sealed.js';
