import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type { MillraceError, Reader, ReaderRecord } from '../../index.js';
import { countOption, onePath, UsageError, type Values, type Verb } from '../command.js';
import { interruption, isInterruption } from '../interruption.js';
import { type Output, say } from '../output.js';
import { asObject, ENCODING_OPTIONS, type Encoding, encodingOf } from '../payload.js';
import { toJson, visible } from '../words.js';
import { withAdvice } from './advice.js';
import { refuseLog } from './log-instead.js';
import { Overwritten } from './overwritten.js';
import { backward, checkEnd, forward, Gap, observe, seekEnd } from './walk.js';

export const tail: Verb = {
  name: 'tail',
  summary: 'print the last records of a channel, and those that come',
  help: `millrace tail PATH [-n N] [-f [--wait]] [--text|--hex|--base64] [--json]

Prints the payloads of the last records, a line each: the bytes as they are, or, on a terminal, with control characters
made visible. Nothing in the channel changes, and its writer is not held back: what it overwrites before it could be
printed is counted on standard error.

  -n, --lines N   how many records (10)
  -f, --follow    go on with what is written, until the stream ends, its writer dies (exit code 1) or Ctrl-C
  --wait          with --follow: wait for the channel, where there is none yet, and, where it has no writer, for one that goes
                  on with it, or, if nothing was written to it, for a channel that takes its place
  --text, --hex, --base64
                  how to print payloads
  --json          an object a line: position, record, type, timestamp (in microseconds) and tag where the channel has them,
                  size, and the payload as text, or base64 where it is not UTF-8

Examples
  millrace tail /dev/shm/orders
  millrace tail -f /dev/shm/orders
  millrace tail -f --wait /dev/shm/orders
  millrace tail -n 0 -f /dev/shm/orders --json | jq .text`,
  options: {
    lines: { type: 'string', short: 'n' },
    follow: { type: 'boolean', short: 'f' },
    wait: { type: 'boolean' },
    ...ENCODING_OPTIONS,
    json: { type: 'boolean' },
  },
  async run(values, paths, output) {
    const path = onePath(tail, paths);
    const lines = countOption(tail, values, 'lines', 0, 10);
    const format = formatFor(values, output);
    const waits = values.wait === true;
    if (waits && values.follow !== true) throw new UsageError('tail: --wait is for --follow', 'tail');
    refuseLog(path, 'tail');
    // Before anything is seen of it: who sees the last record may ask it to end.
    const stop = values.follow === true ? interruption() : undefined;
    const opened = await open(path, waits, stop);
    if (opened === undefined) return true;
    using reader = opened;
    let sound = await printLast(reader, lines, format, output);
    await output.flush();
    if (stop !== undefined) sound = (await follow(reader, format, output, waits, stop)) && sound;
    else if (sound) checkEnd(reader);
    return sound;
  },
};

/** Undefined where it is to wait no longer for a channel. */
async function open(path: string, wait: boolean, signal: AbortSignal | undefined) {
  try {
    return await observe(path, { wait, follow: wait, signal });
  } catch (error) {
    if (isInterruption(error)) return undefined;
    throw signal === undefined ? error : withAdvice(error, { ERR_NOT_FOUND: '--wait waits for it' });
  }
}

type Format = (record: ReaderRecord) => string | Buffer;

function formatFor(values: Values, output: Output): Format {
  const encoding: Encoding = encodingOf(tail, values);
  if (values.json === true) return (record) => toJson(asObject(record, encoding));
  if (encoding === 'hex' || encoding === 'base64') return ({ data }) => data.toString(encoding);
  return output.isTerminal ? ({ data }) => visible(data.toString('utf8')) : ({ data }) => data;
}

async function printLast(reader: Reader, lines: number, format: Format, output: Output): Promise<boolean> {
  const end = seekEnd(reader);
  if (lines === 0) return true;
  const last: ReaderRecord[] = [];
  let sound = true;
  let moved = false;
  for (const step of backward(reader)) {
    if (step instanceof Gap) {
      moved = true;
      if (step.damage !== undefined) sound = false;
      say(step.text);
    } else if (last.push(step) === lines) {
      break;
    }
  }
  if (moved) reader.seek(end);
  for (const record of last.reverse()) {
    if (output.line(format(record))) await output.flush();
  }
  return sound;
}

/** People do not see it sooner, and a channel that is silent costs next to nothing. */
const LOOK_EVERY_MS = 10;
const RECORDS_A_TURN = 512;
/** A dead writer may be resumed at once by its successor. */
const DEAD_AFTER_MS = 1000;
const REPLACED_WITHIN_MS = 1000;

/**
 * Prints what comes until the stream ends, its writer stays dead, where another one is not waited for, or the user has seen
 * enough; true if all is well.
 */
async function follow(
  reader: Reader,
  format: Format,
  output: Output,
  waits: boolean,
  stop: AbortSignal,
): Promise<boolean> {
  let sound = true;
  let deadSince: number | undefined;
  using overwritten = new Overwritten(reader.path, 'printed');
  while (!stop.aborted) {
    const dead = reader.status === 'dead';
    const printed = await printNew(reader, format, output, overwritten);
    if (printed.stuck) return false;
    sound &&= printed.sound;
    await output.flush();
    if (printed.steps > 0) {
      await turn();
      continue;
    }
    if (reader.ended) {
      if (waits && (await goesOver(reader, stop))) continue;
      if (stop.aborted) break;
      if (reader.status === 'dead') return tellDead(reader, 'something else has its name now');
      say(`${reader.path} is ${reader.status}: this was its last record`);
      return sound;
    }
    deadSince = dead && !waits ? (deadSince ?? performance.now()) : undefined;
    if (deadSince !== undefined && performance.now() - deadSince >= DEAD_AFTER_MS) {
      return tellDead(reader, '--wait waits for one that goes on with it');
    }
    await delay(LOOK_EVERY_MS, undefined, { signal: stop }).catch(() => {});
  }
  return sound;
}

/**
 * Whether the reader went over to what took the place of a channel that nothing was written to. Who replaces one ends it
 * first: so it may take a moment.
 */
async function goesOver(reader: Reader, signal: AbortSignal): Promise<boolean> {
  if (reader.recordNumber > 0) return false;
  const { channelId } = reader;
  await reader.ready({ timeoutMs: REPLACED_WITHIN_MS, signal }).catch((error: MillraceError) => {
    if (!['ERR_TIMEOUT', 'ERR_ABORTED', 'ERR_WRITER_DEAD'].includes(error.code)) throw error;
  });
  return reader.channelId !== channelId;
}

function tellDead({ path }: Reader, hint: string): false {
  say(
    `the writer of ${path} died without ending it; all it committed was printed; ${hint} (ERR_WRITER_DEAD)`,
  );
  return false;
}

async function printNew(reader: Reader, format: Format, output: Output, overwritten: Overwritten) {
  let steps = 0;
  let sound = true;
  for (const step of forward(reader)) {
    steps++;
    if (!(step instanceof Gap)) {
      if (output.line(format(step))) await output.flush();
    } else {
      if (step.damage === undefined) {
        overwritten.add(step.overwritten);
        continue;
      }
      say(step.text);
      sound = false;
      if (step.next === undefined) return { steps, sound, stuck: true };
    }
    if (steps === RECORDS_A_TURN) break;
  }
  return { steps, sound, stuck: false };
}
