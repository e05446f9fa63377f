/** What each process that an example starts does first, so that it doesn't outlive the example. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';

export const [directory, ...given] = process.argv.slice(2);

// Ctrl-C reaches every process of the terminal; main.js decides what follows from it.
process.on('SIGINT', () => {});

// Whatever ended main.js, kill -9 too: nobody is left to stop this process and to tidy up.
process.on('disconnect', orphaned);
if (!process.connected) orphaned();
// Listening alone is no reason to live.
process.channel?.unref();

function orphaned() {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  process.exit(1);
}

/** @param {object} message for main.js */
export function tell(message) {
  // That main.js is gone is told by 'disconnect', and need not be an error here.
  if (process.connected) process.send?.(message, () => {});
}

/** The next message from main.js. */
export async function nextMessage() {
  process.channel?.ref();
  const [message] = await once(process, 'message');
  process.channel?.unref();
  return message;
}
