// Answers with a value, or with trips; as a `parent` it has a child of its own, which never ends by itself, and never answers.
import { fileURLToPath } from 'node:url';
import { answerTurns } from '../../bench/harness/listener.js';
import { say } from '../../bench/harness/participant.js';
import { PinnedProcess } from '../../bench/harness/process.js';

const [role] = process.argv.slice(2);

if (role === 'parent') {
  const child = new PinnedProcess(0, process.execPath, [fileURLToPath(import.meta.url), 'deaf']);
  const { pid } = await child.hear();
  say({ pids: [process.pid, pid] });
} else if (role === 'deaf') {
  say({ pid: process.pid });
  setInterval(() => {}, 1000);
} else {
  const end = { ms: 10, cpuMs: 10, waitedMs: 0 };
  answerTurns({
    value: () => ({ value: 7 }),
    trips: (_ms, pauseMs) => ({
      trips: 2,
      ms: 10,
      us: pauseMs > 0 ? { p50: 70 } : { mean: 5000 },
      front: end,
      back: end,
    }),
  });
}
