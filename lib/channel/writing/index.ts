export { Appender } from './appender.js';
export { Claim } from './claim.js';
export { createChannel, isInRam, takeName } from './create.js';
export { type Base, CHANNEL_OPTIONS, type ChannelOptions, designHeader, writeHeader } from './design.js';
export { Flusher } from './flusher.js';
export { Refusal } from './refusal.js';
export { type Recovery, resumeChannel } from './resume.js';
export { type SendOptions, Sends, splitOptions } from './sends.js';
