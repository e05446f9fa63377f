export { type LogRepair, repairLog } from './repair.js';
export type { LogFault } from './segment-verify.js';
export { type LogVerification, verifyLog } from './verify.js';
