const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Aborted by Ctrl-C, or by whoever asks the process to end. A second time, in whichever way, ends it at once. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    for (const signal of SIGNALS) process.off(signal, stop);
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  return controller.signal;
}

/** Whether that is how what was waited for ended, and nothing that went wrong in the same moment. */
export function isInterruption(error: unknown): boolean {
  return (error as Error).name === 'AbortError';
}
