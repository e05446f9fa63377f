import { fork } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LOOK_EVERY_MS = 200;
const MOST_FAILURES = 20;
const NOTE_BYTES = 128;

/**
 * Runs `count` cases in a child of this module, and in another one behind the case in which one crashed or hung.
 * `child` is its file in this directory; `more` are arguments of its own.
 */
export async function runInChildren(child, options, more = []) {
  const { count, seed, from = 0, patienceMs = 20_000 } = options;
  const summary = { cases: 0, outcomes: {}, failures: [] };
  const end = from + count;
  for (let next = from; next < end && summary.failures.length < MOST_FAILURES; ) {
    next = await runChild(child, { ...options, seed, next, end, patienceMs, more }, summary);
  }
  return summary;
}

/**
 * The same with as many cases as are chosen of `all`, each one where `count` is 0; the child is told both, too. Of a
 * `share`, as [which, of how many], only its part of these cases.
 */
export function runChosen(child, all, { count, share: [which, of] = [1, 1], ...options }, more = []) {
  const chosen = count === 0 ? all : Math.min(count, all);
  const [from, end] = [which - 1, which].map((shares) => Math.floor((shares * chosen) / of));
  return runInChildren(child, { from, ...options, count: end - from }, [chosen, all, ...more]);
}

/** One life of a child; returns the case that the next one goes on with. */
function runChild(file, { seed, next, end, directory, report, patienceMs, more }, summary) {
  // The child notes in a file what it is about to do: a message would not leave a child that hangs.
  const notes = join(directory, 'notes');
  closeSync(openSync(notes, 'w'));
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(path, [directory, String(seed), String(next), String(end), ...more.map(String)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let hung = false;
  let done = false;
  let said = '';
  let lastNote = '';
  let since = performance.now();
  child.stderr.on('data', (data) => {
    said = (said + data).slice(-2000);
  });
  child.on('message', (message) => {
    if (message.failure !== undefined) summary.failures.push({ seed, ...message.failure });
    for (const [outcome, times] of Object.entries(message.outcomes ?? {})) {
      summary.outcomes[outcome] = (summary.outcomes[outcome] ?? 0) + times;
    }
    if (message.done !== true) return;
    done = true;
    summary.cases += message.next - next;
    next = message.next;
  });
  const watch = setInterval(() => {
    const note = readNote(notes);
    if (note !== lastNote) {
      lastNote = note;
      since = performance.now();
      report?.(indexOf(note) ?? next);
    } else if (performance.now() - since > patienceMs) {
      hung = true;
      child.kill('SIGKILL');
    }
  }, LOOK_EVERY_MS);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(watch);
      if (done) {
        resolve(next);
        return;
      }
      const note = readNote(notes);
      const index = indexOf(note) ?? next;
      const problem = hung
        ? `it did not end within ${patienceMs} ms`
        : `the process ended with ${signal ?? `code ${code}`}: ${said}`;
      summary.failures.push({ seed, index, doing: note.slice(note.indexOf(' ') + 1), problem });
      summary.cases += index + 1 - next;
      resolve(index + 1);
    });
  });
}

function readNote(notes) {
  const bytes = Buffer.alloc(NOTE_BYTES);
  const file = openSync(notes, 'r');
  try {
    return bytes.toString('latin1', 0, readSync(file, bytes, 0, NOTE_BYTES, 0)).trimEnd();
  } finally {
    closeSync(file);
  }
}

function indexOf(note) {
  const index = Number.parseInt(note, 10);
  return Number.isNaN(index) ? undefined : index;
}
