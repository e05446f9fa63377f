/** What every process that the demo starts does first. */
import { rmSync } from 'node:fs';

/** @type {{ directory: string, [setting: string]: any }} */
export const settings = JSON.parse(process.argv[2]);

// Whatever ended the parent, kill -9 too: nobody is left to stop this process and to tidy up.
process.on('disconnect', orphaned);

function orphaned() {
  rmSync(settings.directory, { recursive: true, force: true, maxRetries: 3 });
  process.exit(1);
}

/** The work is done: what was told to the parent still reaches it. */
export function leave() {
  process.off('disconnect', orphaned);
  process.disconnect?.();
}

// Ctrl-C reaches every process of the terminal. The parent decides what follows from it.
process.on('SIGINT', () => {});
