import type { MillraceError, WaitOptions } from '../../index.js';
import { say } from '../output.js';

/** Whoever has a turn to append longer than that stands still, or the disk does. */
const SILENT_MS = 1000;

/**
 * Does what waits for a turn to append, as long as it takes; where that doesn't come soon it is said who has it. `signal`
 * ends the waiting only then: what comes to its turn soon is done.
 */
export async function inTurn<T>(
  work: (limits: WaitOptions) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let patient: AbortSignal | undefined;
  let named: number | undefined;
  for (;;) {
    try {
      return await work({ signal: patient, timeoutMs: SILENT_MS });
    } catch (error) {
      const { code, pid, path } = error as MillraceError;
      if (code !== 'ERR_TIMEOUT') throw error;
      if (pid !== undefined && pid !== named)
        say(`waiting for process ${pid}: it has the turn to append to ${path}`);
      named = pid ?? named;
      patient = signal;
    }
  }
}
