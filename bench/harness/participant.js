import { readSync, writeSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import { Usage } from './load.js';

/** Numbers of records stay below this; END comes instead of one when a turn is over. */
const NUMBERS = 1 << 30;
export const END = -1;
export const LAST_BYTE = 0x5a;
export const BATCH = 16;

export function nextNumber(number) {
  return (number + 1) & (NUMBERS - 1);
}

/** A reused source of `size` bytes, in whole words, that starts with the number last put into it. */
export class Source {
  constructor(size) {
    this.words = new Int32Array(Math.ceil(size / 4));
    this.bytes = new Uint8Array(this.words.buffer, 0, size).fill(0x11);
    this.bytes[size - 1] = LAST_BYTE;
  }

  number(value) {
    this.words[0] = value;
  }
}

/** What the receiving end knows: whether the numbers ran without a gap, and the sum of the last bytes. */
export class Tally {
  records = 0;
  sum = 0;
  gaps = 0;
  expected = 0;
  ended = false;

  begin() {
    this.records = 0;
    this.sum = 0;
    this.gaps = 0;
    this.ended = false;
  }

  take(number, lastByte) {
    if (number !== this.expected) {
      if (number === END) {
        this.ended = true;
        return;
      }
      this.gaps++;
    }
    this.expected = nextNumber(number);
    this.sum += lastByte;
    this.records++;
  }
}

export function nowNs() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}

/** Of a thread that blocks: the descriptor of its own line to the harness. All others have standard streams. */
const lineFd = workerData?.lineFd;

export function say(fact) {
  const line = `${JSON.stringify(fact)}\n`;
  if (lineFd === undefined) process.stdout.write(line);
  else writeSync(lineFd, line);
}

const input = Buffer.alloc(256);

/** Sleeps until the harness says something. */
function hear() {
  const length = readSync(lineFd ?? 0, input);
  if (length === 0) process.exit(0);
  return input.toString('latin1', 0, length).trim();
}

/** Call once this process has made what its partner will open; returns when the partner has too. */
export function awaitPartner() {
  say({ created: true });
  hear();
}

/**
 * Runs turns until the harness goes away: of so many milliseconds, and of `most` records where it says so.
 * `turn(deadlineNs, most)` does the work and returns
 * { records, sum, gaps, and, if it ended earlier than it returned, endNs }.
 */
export function runTurns(turn) {
  say({ ready: true });
  for (;;) {
    const [, ms, most] = /^run (\S+)(?: (\d+))?/.exec(hear());
    say({ running: true });
    const usage = new Usage({ ofThread: !isMainThread });
    const startNs = nowNs();
    const done = turn(startNs + Number(ms) * 1e6, Number(most ?? Infinity));
    const endNs = done.endNs ?? nowNs();
    const { ms: wallMs, cpuMs, waitedMs } = usage.end();
    const { heapUsed, rss } = process.memoryUsage();
    say({
      ...done,
      startNs,
      endNs,
      wallUs: wallMs * 1000,
      cpuUs: cpuMs * 1000,
      waitedUs: waitedMs * 1000,
      heapBytes: heapUsed,
      rssKiB: Math.round(rss / 1024),
    });
  }
}
