/**
 * A reader: reads every record and checks that it is the next one. Where it stands and what it has counted go to the
 * parent together, ten times a second; a reader that takes over from a killed one begins with both.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Reader } from 'millrace';
import { leave, settings } from './child.js';
import { NUMBER_BYTES, now, tellParent, turn } from './shared.js';

const RECORDS_A_TURN = 8192;
const REPORT_EVERY_MS = 100;

/** @type {{ position: number, read: number, next: number, gaps: number, duplicates: number, torn: number }} */
const saved = settings.saved;
let { read, next, gaps, duplicates, torn } = saved;

const reader = await Reader.open(settings.path, { from: saved.position, gate: true, name: settings.name });

function check(/** @type {Buffer} */ bytes, /** @type {number} */ start, /** @type {number} */ end) {
  const number = bytes.readDoubleLE(start);
  if (number > next) gaps += number - next;
  if (number < next) duplicates++;
  else next = number + 1;
  read++;
  if (!isWhole(bytes, start, end, number)) torn++;
}

/** Whether the rest of a record is what its number says: every byte of it, or the last one. */
function isWhole(
  /** @type {Buffer} */ bytes,
  /** @type {number} */ start,
  /** @type {number} */ end,
  /** @type {number} */ number,
) {
  const filler = number & 0xff;
  for (let at = settings.thorough ? start + NUMBER_BYTES : end - 1; at < end; at++) {
    if (bytes[at] !== filler) return false;
  }
  return true;
}

function report() {
  tellParent({ position: reader.position, read, next, gaps, duplicates, torn, at: now() });
}

report();
let reported = now();
let paused = now();
for (;;) {
  const count = reader.poll(check, RECORDS_A_TURN);
  if (now() - reported >= REPORT_EVERY_MS) {
    report();
    reported = now();
  }
  // Now and then the slow one is busy with something else, as readers are.
  if (settings.pauseMs > 0 && now() - paused >= settings.pauseEveryMs) {
    await delay(settings.pauseMs);
    paused = now();
  }
  if (count > 0) await turn();
  else if (reader.ended) break;
  else await delay(1);
}
report();
reader.close();
leave();
