export type ErrorCode =
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_CLOSED_HANDLE'
  | 'ERR_BUSY'
  | 'ERR_ABORTED'
  | 'ERR_TIMEOUT'
  | 'ERR_PLATFORM'
  | 'ERR_EXISTS'
  | 'ERR_NOT_FOUND'
  | 'ERR_PERMISSION'
  | 'ERR_NO_SPACE'
  | 'ERR_FILESYSTEM'
  | 'ERR_SYSTEM'
  | 'ERR_SYNC_FAILED'
  | 'ERR_FORMAT'
  | 'ERR_TRUNCATED'
  | 'ERR_CORRUPT'
  | 'ERR_GAP'
  | 'ERR_WRITER_ACTIVE'
  | 'ERR_WRITER_DEAD'
  | 'ERR_ENDED'
  | 'ERR_SHARED'
  | 'ERR_CHANNEL_FULL'
  | 'ERR_BACK_PRESSURE'
  | 'ERR_RECORD_TOO_LARGE'
  | 'ERR_OVERTAKEN'
  | 'ERR_EVICTED'
  | 'ERR_NO_READER_SLOT'
  | 'ERR_OFFSET_OUT_OF_RANGE'
  | 'ERR_INVALID_NAME'
  | 'ERR_NATIVE_BINDING'
  | 'ERR_EXTERNAL_BUFFERS';

/** Facts that an error carries as fields of its own; which code carries which is in docs/errors.md. */
export interface ErrorFacts {
  path?: string;
  position?: number;
  next?: number;
  size?: number;
  max?: number;
  capacity?: number;
  needed?: number;
  available?: number;
  lost?: number;
  from?: number;
  to?: number;
  record?: number;
  offset?: number;
  nextOffset?: number;
  earliest?: number;
  remaining?: number;
  expected?: number;
  final?: number;
  pid?: number;
  appender?: number;
  cursor?: string;
  current?: number;
  slot?: number;
  state?: string;
  timeoutMs?: number;
  option?: string;
  meant?: string;
  format?: number;
  features?: number;
  type?: number;
  compression?: number;
  fileSystem?: string;
  platform?: string;
  errno?: number;
  syscall?: string;
  [fact: string]: unknown;
}

/** Every error that Millrace throws: a code to branch on, a message to read, and the facts as fields. */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  declare readonly path?: string;
  declare readonly position?: number;
  declare readonly next?: number;
  declare readonly size?: number;
  declare readonly max?: number;
  declare readonly capacity?: number;
  declare readonly needed?: number;
  declare readonly available?: number;
  declare readonly lost?: number;
  declare readonly from?: number;
  declare readonly to?: number;
  declare readonly record?: number;
  declare readonly offset?: number;
  declare readonly nextOffset?: number;
  declare readonly earliest?: number;
  declare readonly remaining?: number;
  declare readonly expected?: number;
  declare readonly final?: number;
  declare readonly pid?: number;
  declare readonly appender?: number;
  declare readonly cursor?: string;
  declare readonly current?: number;
  declare readonly slot?: number;
  declare readonly state?: string;
  declare readonly timeoutMs?: number;
  declare readonly option?: string;
  declare readonly meant?: string;
  declare readonly format?: number;
  declare readonly features?: number;
  declare readonly type?: number;
  declare readonly compression?: number;
  declare readonly fileSystem?: string;
  declare readonly platform?: string;
  declare readonly errno?: number;
  declare readonly syscall?: string;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts & { cause?: unknown } = {}) {
    const { cause, ...rest } = facts;
    super(message, cause === undefined ? undefined : { cause });
    // The platform's own convention: code that looks at `name` to see an abort must see one.
    this.name = code === 'ERR_ABORTED' ? 'AbortError' : 'MillraceError';
    this.code = code;
    Object.assign(this, rest);
  }
}

/** The same error with more facts. */
export function withFacts(error: MillraceError, facts: ErrorFacts): MillraceError {
  const { code, message, cause } = error;
  return new MillraceError(code, message, { ...error, ...facts, cause });
}

export function closedHandle(what: string, path: string): MillraceError {
  return new MillraceError('ERR_CLOSED_HANDLE', `This ${what} of ${path} is closed`, { path });
}

export function invalidArgument(message: string, facts: ErrorFacts = {}): MillraceError {
  return new MillraceError('ERR_INVALID_ARGUMENT', message, facts);
}
