import type { VerifyOptions } from '../index.js';
import { interruption } from './interruption.js';
import { type Output, sayError } from './output.js';
import { withProgress } from './progress.js';

/** Looks through one after the other and tells what was found; false where one of them is not sound. */
export async function verifyEach<Found extends { sound: boolean }>(
  paths: readonly string[],
  look: (path: string, options: VerifyOptions) => Promise<Found>,
  show: (found: Found) => string[],
  output: Output,
): Promise<boolean> {
  const signal = interruption();
  let sound = true;
  for (const path of paths) {
    // Whoever stops reading ends it before all was looked through, which is not to pass for sound.
    process.exitCode = 1;
    await output.flush();
    try {
      const found = await withProgress(path, (onProgress) => look(path, { signal, onProgress }));
      for (const line of show(found)) output.line(line);
      sound &&= found.sound;
    } catch (error) {
      sayError(error);
      sound = false;
    }
    if (signal.aborted) return false;
  }
  return sound;
}
