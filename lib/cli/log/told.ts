import { MillraceError } from '../../index.js';

/** Why something can't be told. */
export interface Untold {
  code: string;
  message: string;
}

/** What is asked for, or why it can't be told. */
export function told<T>(ask: () => T): { value?: T; fault?: Untold } {
  try {
    return { value: ask() };
  } catch (error) {
    return { fault: faultOf(error) };
  }
}

export function faultOf(error: unknown): Untold {
  if (!(error instanceof MillraceError)) throw error;
  return { code: error.code, message: error.message };
}
