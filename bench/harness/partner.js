import { PinnedProcess } from './process.js';
import { PinnedThread } from './thread.js';

/**
 * For a front that starts its back itself: `script back TEXT` on the second of the cpus, in a process or in a thread
 * of the front's. Resolves once it is ready.
 */
export function partnerStarter(script, text, { cpus, node }) {
  return async ({ thread = false, serialization } = {}) => {
    const args = ['back', text];
    const back = thread
      ? new PinnedThread(cpus[1], script, args)
      : new PinnedProcess(cpus[1], process.execPath, [...node, script, ...args], { serialization });
    await back.hear();
    return back;
  };
}
