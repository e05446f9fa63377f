/** One thing that was looked at: `ok`; a `warning` of what is slow, small or easily lost; or a `fault`: it will not work. */
export interface Finding {
  state: 'ok' | 'warning' | 'fault';
  check: string;
  /** For people; of what is not ok, with what to do about it. */
  message: string;
}

export type Findings = AsyncGenerator<Finding, void, undefined>;

export function ok(check: string, message: string): Finding {
  return { state: 'ok', check, message };
}

export function warning(check: string, message: string): Finding {
  return { state: 'warning', check, message };
}

export function fault(check: string, message: string): Finding {
  return { state: 'fault', check, message };
}

/** What the library threw, in its words and with its code. */
export function faultOf(check: string, error: unknown): Finding {
  const { message, code } = error as NodeJS.ErrnoException;
  return fault(check, code === undefined ? message : `${message} (${code})`);
}
