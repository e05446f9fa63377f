export { type ChannelInfo, inspect } from './inspect.js';
export { Salvage, type Salvaged } from './salvage.js';
export {
  checkVerifyOptions,
  type Fault,
  type SeeRecord,
  type Verification,
  type VerifyOptions,
  verify,
  verifyRecords,
} from './verify.js';
