import { sayProgress } from './output.js';
import { age } from './words.js';

/** Before that nobody can tell how long it will take. */
const LOOK_ON_MS = 1000;

export type OnProgress = (done: number, total: number) => void;

/** On a terminal: shows how far long work has come, and how long it takes still, until it is done. */
export async function withProgress<T>(
  what: string,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const began = performance.now();
  try {
    return await work((done, total) => {
      sayProgress(`${what}: ${progressText(done, total, performance.now() - began)}`);
    });
  } finally {
    sayProgress(undefined);
  }
}

/** (25, 100, 5000) -> '25 %, about 15 s left' */
export function progressText(done: number, total: number, elapsedMs: number): string {
  const part = total === 0 ? 1 : Math.min(1, done / total);
  const percent = `${Math.floor(part * 100)} %`;
  if (part === 0 || elapsedMs < LOOK_ON_MS) return percent;
  const seconds = Math.ceil((elapsedMs * (1 - part)) / part / 1000);
  return seconds === 0 ? percent : `${percent}, about ${age(seconds * 1000)} left`;
}
