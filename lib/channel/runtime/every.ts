// Not the global ones, which tests put others in the place of: what goes on behind their backs has to go on.
import { clearInterval, setInterval } from 'node:timers';

/**
 * Calls now and then; keeps neither the process nor what it is called for alive. `call` is to stand at the
 * top of its module: one that is made beside others holds what they hold, and that may be the one it is called for.
 */
export function every<T extends object>(ms: number, target: T, call: (target: T) => void): NodeJS.Timeout {
  const kept = new WeakRef(target);
  const timer = setInterval(() => {
    const target = kept.deref();
    if (target === undefined) clearInterval(timer);
    else call(target);
  }, ms);
  return timer.unref();
}
