/** Those who wait under one signal. */
type Waiting = Set<() => void>;

/** One listener a signal, however many wait: Node warns of more than ten. */
const waiting = new WeakMap<AbortSignal, { them: Waiting; listener: () => void }>();

/** Calls `abort` once the signal is aborted; not before it is, and not after `forget`. */
export function onAbort(signal: AbortSignal, abort: () => void): void {
  const known = waiting.get(signal);
  if (known !== undefined) {
    known.them.add(abort);
    return;
  }
  const them: Waiting = new Set([abort]);
  const listener = () => {
    waiting.delete(signal);
    for (const one of them) one();
  };
  waiting.set(signal, { them, listener });
  signal.addEventListener('abort', listener, { once: true });
}

export function forget(signal: AbortSignal, abort: () => void): void {
  const known = waiting.get(signal);
  if (known === undefined || !known.them.delete(abort) || known.them.size > 0) return;
  waiting.delete(signal);
  signal.removeEventListener('abort', known.listener);
}
