/** Calls now and then; keeps neither the process nor what it is called for alive. */
export function every<T extends object>(ms: number, target: T, call: (target: T) => void): NodeJS.Timeout {
  const kept = new WeakRef(target);
  const timer = setInterval(() => {
    const target = kept.deref();
    if (target === undefined) clearInterval(timer);
    else call(target);
  }, ms);
  return timer.unref();
}
