import { MillraceError } from '../../errors.js';
import { headerRemains } from '../file/index.js';

const HINT = 'millrace log verify tells more, millrace log repair keeps what is intact of the log';

/**
 * What is wrong with a segment whose header can't be believed, in the words of a log; undefined where a later version wrote
 * it.
 */
export function wrongHeader(path: string): string | undefined {
  switch (headerRemains(path)) {
    case 'later':
      return undefined;
    case 'foreign':
      return `${path} is not a segment of a log`;
    default:
      return `The header of the segment ${path} is damaged`;
  }
}

/** The same error, as who reads a log is to be told. */
export function asOfSegment(error: unknown, path: string): unknown {
  if (!(error instanceof MillraceError) || error.code !== 'ERR_FORMAT') return error;
  const wrong = wrongHeader(path);
  // What its words say of format and features is not to be believed.
  const { cause, code, format: _format, features: _features, ...facts } = error;
  return wrong === undefined ? error : new MillraceError(code, `${wrong}: ${HINT}`, { ...facts, cause });
}
