import { type ErrorCode, MillraceError } from '../../index.js';
import { asUse, type Verb } from '../command.js';

/** By code, what can be done on the command line about what the library refuses. */
export type Advice = Partial<Record<ErrorCode, string>>;

export function advised(verb: Verb, error: unknown, advice: Advice): unknown {
  return asUse(verb, withAdvice(error, advice));
}

/** The same of an error that was not brought about by what the user said. */
export function withAdvice(error: unknown, advice: Advice): unknown {
  const hint = error instanceof MillraceError ? advice[error.code] : undefined;
  if (hint === undefined) return error;
  const { code, message, path } = error as MillraceError;
  // What the library says of this one is about its own options.
  const what = code === 'ERR_EXISTS' ? `${path} exists already` : message;
  return new MillraceError(code, `${what}; ${hint}`);
}
