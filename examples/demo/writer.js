/** The writer: numbered records, first at a steady pace, then as fast as the readers allow. */
import { setTimeout as delay } from 'node:timers/promises';
import { Writer } from 'millrace';
import { leave, settings } from './child.js';
import { FRAME_BYTES, NUMBER_BYTES, now, PAYLOAD_BYTES, tellParent, turn } from './shared.js';

const RECORDS_A_TURN = 4096;
const REPORT_EVERY_MS = 100;
const USED_OF_RING = 7 / 8;

const writer = await Writer.create(settings.path, { capacity: settings.capacity, metadata: { demo: true } });
const payload = Buffer.alloc(PAYLOAD_BYTES);
let written = 0;
/** Records a second; Infinity: as many as the readers let through. */
let pace = 0;
/** How much was written when, at each change of the pace. */
const paces = [{ at: now(), written: 0 }];
/** What lies from here on is kept, though no living reader holds it; Infinity: nothing. */
let keptFrom = 0;
let waiting = false;
let ending = false;

process.on('message', (/** @type {any} */ message) => {
  if (message.pace !== undefined) {
    pace = message.pace ?? Number.POSITIVE_INFINITY;
    paces.push({ at: now(), written });
    tellParent({ paces });
  }
  if (message.keptFrom !== undefined) keptFrom = message.keptFrom ?? Number.POSITIVE_INFINITY;
  if (message.end) ending = true;
});

function report() {
  tellParent({ written, at: now(), refusals: writer.stats().refusals });
}

/** How many records are due by now. */
function due() {
  if (pace === Number.POSITIVE_INFINITY) return RECORDS_A_TURN;
  const since = paces[paces.length - 1];
  const target = since.written + ((now() - since.at) / 1000) * pace;
  return Math.min(RECORDS_A_TURN, Math.floor(target - written));
}

/** How many can be written before what is kept. Not the whole ring: a little ahead of the writer it is given up already. */
function roomBeforeKept() {
  return Math.floor((keptFrom + settings.capacity * USED_OF_RING - writer.position) / FRAME_BYTES);
}

function tellWhetherWaiting(/** @type {boolean} */ waits) {
  if (waits !== waiting) tellParent({ waiting: waits });
  waiting = waits;
}

/** Writes up to `count` records; false if readers hold the writer back. */
function write(/** @type {number} */ count) {
  for (let i = 0; i < count; i++) {
    payload.writeDoubleLE(written);
    payload.fill(written & 0xff, NUMBER_BYTES);
    if (writer.tryWrite(payload) < 0) return false;
    written++;
  }
  return true;
}

tellParent({ ready: true });
let reported = 0;
while (!ending) {
  if (now() - reported >= REPORT_EVERY_MS) {
    report();
    reported = now();
  }
  const room = roomBeforeKept();
  const wanted = due();
  tellWhetherWaiting(wanted > room);
  const count = Math.min(wanted, room);
  if (count <= 0) await delay(1);
  else if (write(count)) await turn();
  else await writer.ready({ bytes: PAYLOAD_BYTES });
}
report();
writer.close();
leave();
