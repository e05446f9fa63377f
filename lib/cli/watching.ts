import { setTimeout as delay } from 'node:timers/promises';

const EVERY_MS = 1000;

/** Whoever watches looks again then; or stops, once that is asked for. */
export async function untilNextLook(stop: AbortSignal): Promise<void> {
  await delay(EVERY_MS, undefined, { signal: stop }).catch(() => {});
}
