/**
 * The child's end of `runInChildren`. Arguments: directory, seed, first case, end, and what the child itself wants.
 * Says before each step what it is about to do, so that its parent knows when it crashed or hung.
 */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { MillraceError } from '../../dist/index.js';
import { randomOf } from '../crash/fixtures/plan.js';

const NOTE_BYTES = 128;
const MOST_FAILURES = 20;
const MOST_MEMORY = 2 ** 29;
const LOOK_AT_MEMORY_EVERY = 256;
const [directoryArgument, seedText, fromText, endText, ...rest] = process.argv.slice(2);
export const directory = directoryArgument;
const seed = Number(seedText);
export const more = rest;
const notes = openSync(join(directory, 'notes'), 'r+');
const outcomes = {};
let index = Number(fromText);

/** What a case found wrong. Everything else that is not a MillraceError is wrong, too. */
export class Wrong extends Error {}

export function note(doing) {
  writeSync(notes, `${index} ${doing}`.padEnd(NOTE_BYTES).slice(0, NOTE_BYTES), 0);
}

export function count(outcome, times = 1) {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + times;
}

/** The code of an error that is an answer; anything else is thrown on. */
export function codeOf(error) {
  if (!(error instanceof MillraceError) || typeof error.code !== 'string') throw error;
  return error.code;
}

/** Does it; a MillraceError is an answer. */
export async function attempt(doing, work) {
  note(doing);
  try {
    await work();
    return true;
  } catch (error) {
    count(codeOf(error));
    return false;
  }
}

/** Runs each case in turn, with random numbers of its own, and tells the parent. */
export async function runCases(runCase) {
  const atStart = process.memoryUsage().rss;
  let failures = 0;
  for (const end = Number(endText); index < end && failures < MOST_FAILURES; index++) {
    try {
      await runCase(index, randomOf(Math.imul(seed, 0x9e3779b1) ^ index));
    } catch (error) {
      failures++;
      const doing = readFileSync(join(directory, 'notes'), 'latin1').trimEnd();
      const problem = error instanceof Error ? `${error.stack}` : String(error);
      process.send({ failure: { index, doing: doing.slice(doing.indexOf(' ') + 1), problem } });
    }
    // What is closed is unmapped behind the event loop's back, once that has a turn.
    await turn();
    if (index % LOOK_AT_MEMORY_EVERY !== 0) continue;
    const grown = process.memoryUsage().rss - atStart;
    if (grown > MOST_MEMORY) {
      failures = MOST_FAILURES;
      process.send({ failure: { index, doing: 'all so far', problem: `memory grew by ${grown} bytes` } });
    }
  }
  process.send({ outcomes, done: true, next: index }, () => process.disconnect());
}
