import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type MillraceError, Writer } from '../../index.js';
import { binding } from '../../native.js';
import { type Finding, type Findings, fault, faultOf, ok, warning } from './finding.js';
import { CHANNEL_FD, type Order, type Word } from './trial-words.js';

const CHILD = fileURLToPath(new URL('./trial-child.js', import.meta.url));
const LONGEST_MS = 20_000;

/**
 * Makes a small channel, and has another process read it, wait for it and die. Its name is taken away before anything else
 * has a turn: what is left goes with the processes, however they end.
 */
export async function* trialFindings(directory: string, stop: AbortSignal): Findings {
  const path = join(directory, `.millrace-doctor-${randomBytes(6).toString('hex')}`);
  let writer: Writer | undefined;
  let file: number;
  try {
    writer = await Writer.create(path, { capacity: '64KiB' });
    const nameless = withoutName(directory, path);
    file = nameless.file;
    yield nameless.isGivenTwice
      ? fault(
          'names',
          'a name was given twice, so two writers could take one channel: use another file system',
        )
      : ok('names', 'a name that is taken is not given again');
  } catch (error) {
    writer?.close();
    yield refused(directory, error);
    return;
  }
  const other = new Other(file, AbortSignal.any([stop, AbortSignal.timeout(LONGEST_MS)]));
  try {
    yield* withOther(writer, other);
  } catch (error) {
    // Who ended it knows.
    if (!stop.aborted) yield faultOf('another process', error);
  } finally {
    await other.kill();
    writer.close();
  }
}

function refused(directory: string, error: unknown): Finding {
  const { code, message } = error as MillraceError;
  if (code === 'ERR_PERMISSION') {
    return fault('channel', `no channel can be made in ${directory}: let this user write there (${code})`);
  }
  if (code !== 'ERR_FILESYSTEM') return faultOf('channel', error);
  return fault('channel', `${message}: use another directory, on a tmpfs or a local disk (${code})`);
}

/** Takes the channel's name away again, having tried whether that can be given twice. */
function withoutName(directory: string, path: string): { file: number; isGivenTwice: boolean } {
  try {
    const isGivenTwice = canBeGiven(directory, path);
    return { file: openSync(path, 'r+'), isGivenTwice };
  } finally {
    rmSync(path, { force: true });
  }
}

/** Whether a second file can have that name, too. */
function canBeGiven(directory: string, path: string): boolean {
  const second = binding().createFileNow(directory, 4096, 0o600);
  try {
    binding().linkFile(second, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    binding().closeFile(second);
  }
}

const HELLO = 'hello';

async function* withOther(writer: Writer, other: Other): Findings {
  writer.write(HELLO);
  const { read, status } = await other.hear('open');
  yield read === HELLO
    ? ok('channel', 'made here, every byte of it allocated; another process reads what is written')
    : fault(
        'channel',
        `another process read '${read}' where '${HELLO}' was written: use another file system`,
      );
  const isHeld = status === 'alive' && isReaderAlive(writer);
  const bell = await wakes('ready', writer, other);
  const block = await wakes('waitSync', writer, other);
  await other.kill();
  yield locks(isHeld, !isReaderAlive(writer));
  yield wake('wake', bell, 'an event loop that sleeps');
  yield wake('futex', block, 'a thread that is blocked');
}

function isReaderAlive(writer: Writer): boolean {
  return writer.readers().some(({ alive }) => alive);
}

function locks(isHeld: boolean, isDropped: boolean): Finding {
  const help = 'nobody could tell who lives: use another file system, or another kernel';
  if (!isHeld) return fault('locks', `another process does not see that one is held; ${help}`);
  if (!isDropped) return fault('locks', `one is still held by a process that was killed; ${help}`);
  return ok('locks', 'seen by another process, and dropped when that was killed');
}

const TIMES = 5;
/** So long it is left asleep. */
const REST_MS = 10;
/** Who is not woken looks each 100 ms by itself. */
const PROMPT_MS = 50;

/** How long it took to be woken, in the half of the cases; undefined where it can't sleep until it is. */
async function wakes(order: Order, writer: Writer, other: Other): Promise<number | undefined> {
  const took: number[] = [];
  for (let n = 0; n < TIMES; n++) {
    other.tell(order);
    const { can } = await other.hear('asleep');
    if (can) await delay(REST_MS);
    writer.write(String(process.hrtime.bigint()));
    const { tookMs, slept } = await other.hear('woken');
    if (!slept) return undefined;
    took.push(tookMs);
  }
  return took.sort((a, b) => a - b)[TIMES >> 1];
}

function wake(check: string, ms: number | undefined, who: string): Finding {
  const help = 'all works, but takes longer, and costs processor time';
  if (ms === undefined) {
    return warning(check, `${who} can't be woken here, and looks again and again: ${help}`);
  }
  if (ms >= PROMPT_MS) return warning(check, `${who} is not woken by another process: ${help}`);
  return ok(check, `${who} is woken by another process in ${ms.toFixed(2)} ms`);
}

/** A process that has the channel's file. */
class Other {
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal;

  /** Takes the file over. */
  constructor(file: number, signal: AbortSignal) {
    const stdio: (number | 'ignore' | 'ipc')[] = ['ignore', 'ignore', 'ignore', 'ipc'];
    stdio[CHANNEL_FD] = file;
    this.#child = fork(CHILD, { stdio });
    this.#signal = signal;
    closeSync(file);
  }

  tell(order: Order): void {
    this.#child.send(order);
  }

  /** What it says next, which is to be this. */
  async hear<Say extends Word['say']>(say: Say): Promise<Extract<Word, { say: Say }>> {
    const heard = new AbortController();
    const signal = AbortSignal.any([this.#signal, heard.signal]);
    const word = once(this.#child, 'message', { signal }).then(([said]) => said as Word);
    const end = once(this.#child, 'exit', { signal }).then(([code, by]) => {
      throw new Error(`the process that was to read the channel ended, by ${by ?? `exit code ${code}`}`);
    });
    try {
      const said = await Promise.race([word, end]);
      if (said.say === say) return said as Extract<Word, { say: Say }>;
      throw new Error(said.say === 'failed' ? said.message : `it said '${said.say}' and not '${say}'`);
    } finally {
      heard.abort();
      await Promise.allSettled([word, end]);
    }
  }

  /** Resolves once it is gone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
