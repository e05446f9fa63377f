/** Aborted by Ctrl-C, or by whoever asks the process to end. A second time ends it at once. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => controller.abort());
  }
  return controller.signal;
}

/** Whether that is how what was waited for ended, and nothing that went wrong in the same moment. */
export function isInterruption(error: unknown): boolean {
  return (error as Error).name === 'AbortError';
}
