import {
  exitWithAllOpen,
  readInThreadsAndProcesses,
  terminateOpeners,
  terminateReaders,
  terminateWriters,
} from '../../crash/fixtures/threads.js';

export const option = 'threads';
export const says = 'threads terminated at any time';

export async function run({ count, seed, newPath, attempt }) {
  const times = Math.ceil(count / 3);
  for (const part of [terminateWriters, terminateReaders, terminateOpeners]) {
    const onProgress = (done) => attempt.progress(`${part.name}: ${done.terminated}`);
    await attempt(part.name, () => part({ newPath, times, seed, onProgress }));
  }
  await attempt('at once', () => readInThreadsAndProcesses({ newPath, seed }));
  for (const how of ['exit', 'handler'])
    await attempt(`end by ${how}`, () => exitWithAllOpen({ newPath, how }));
}
