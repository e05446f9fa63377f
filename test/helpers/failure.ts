import { MillraceError } from '../../lib/index.js';

/** The MillraceError that `work` throws or rejects with; anything else it throws fails the test as it is. */
export async function failure(work: () => unknown): Promise<MillraceError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('It did not fail');
}

/** The same for what must fail at once: a promise would not do. */
export function thrown(work: () => unknown): MillraceError {
  try {
    work();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('It did not throw');
}
