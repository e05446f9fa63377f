// The turns of an event loop that writes at a steady pace:
//   stalls-process.js FOLDER EVERY-MS CAPACITY RECORD MB/S
//   run SECONDS    EVERY-MS 0: without syncing
import { answerTurns } from '../harness/listener.js';
import { keepPace, WARM_UP_MS } from '../harness/pace.js';
import { ChannelSupply } from '../harness/supply.js';

const FRAME_HEADER = 16;

const [folder, everyMs, capacity, recordBytes, megabytesASecond] = process.argv.slice(2);
const record = new Uint8Array(Number(recordBytes)).fill(0x11);
const recordsAMs = (Number(megabytesASecond) * 1000) / record.length;
const supply = new ChannelSupply(folder, {
  capacity: Number(capacity),
  ...(everyMs !== '0' && { sync: { everyMs: Number(everyMs) } }),
});

/**
 * All of them made beforehand: creating brings a whole channel to the disk, which is no part of writing to
 * one.
 */
async function channelsFor(ms) {
  const bytes = ms * recordsAMs * (record.length + FRAME_HEADER);
  const writers = [];
  for (let made = 0; made <= bytes; made += Number(capacity)) writers.push(await supply.create());
  return writers;
}

async function run(seconds) {
  const writers = await channelsFor(WARM_UP_MS + seconds * 1000);
  const channels = writers.length;
  const full = [];
  let writer = writers.shift();
  let durable = writer.durablePosition;
  let syncs = 0;

  function write() {
    if (writer.tryWrite(record) >= 0) return;
    full.push(writer);
    writer = writers.shift();
    durable = writer.durablePosition;
    writer.write(record);
  }

  const facts = await keepPace({
    seconds,
    aMs: recordsAMs,
    act: write,
    begun() {
      syncs = 0;
    },
    turned() {
      if (writer.durablePosition === durable) return;
      durable = writer.durablePosition;
      syncs++;
    },
  });
  for (const used of [...full, writer, ...writers]) await supply.putAway(used);
  return { ...facts, syncs, channels };
}

answerTurns({ run });
