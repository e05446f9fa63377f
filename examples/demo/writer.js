/** The writer: numbered records, first at a steady pace, then as fast as the readers allow. */
import { setTimeout as delay } from 'node:timers/promises';
import { Writer } from 'millrace';
import { leave, settings } from './child.js';
import { NUMBER_BYTES, now, PAYLOAD_BYTES, tellParent, turn } from './shared.js';

const RECORDS_A_TURN = 4096;
const REPORT_EVERY_MS = 100;

const writer = await Writer.create(settings.path, { capacity: settings.capacity, metadata: { demo: true } });
const payload = Buffer.alloc(PAYLOAD_BYTES);
let written = 0;
/** Records a second; Infinity: as many as the readers let through. */
let pace = 0;
let paceSince = { at: now(), written: 0 };
let ending = false;

process.on('message', (/** @type {any} */ message) => {
  if (message.pace !== undefined) {
    pace = message.pace ?? Number.POSITIVE_INFINITY;
    paceSince = { at: now(), written };
    tellParent({ paceSince });
  }
  if (message.end) ending = true;
});

function report() {
  tellParent({ written, at: now(), refusals: writer.stats().refusals });
}

/** How many records are due by now. */
function due() {
  if (pace === Number.POSITIVE_INFINITY) return RECORDS_A_TURN;
  const target = paceSince.written + ((now() - paceSince.at) / 1000) * pace;
  return Math.min(RECORDS_A_TURN, Math.floor(target - written));
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
  const count = due();
  if (count <= 0) await delay(1);
  else if (write(count)) await turn();
  else await writer.ready({ bytes: PAYLOAD_BYTES });
}
report();
writer.close();
leave();
