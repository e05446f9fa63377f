// What logs take of a process and of the disk: log-memory-process.js FOLDER
//   write SEGMENTS   a log of so many, as small as there are; stays open
//   read             drains it by a tail, which stays open
//   logs COUNT       as many logs with a record each, one after the other; they are closed
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Log } from '../../dist/log/index.js';
import { answerTurns } from '../harness/listener.js';
import { mappings } from '../harness/mappings.js';

const BLOCK = 512;
const RECORD = Buffer.alloc(1000, 0x11);
const RECORDS_AT_ONCE = 100;
const SEGMENT = '16KiB';

const [folder] = process.argv.slice(2);
const kept = [];

function footprint() {
  globalThis.gc();
  const { all, segments } = mappings();
  const { heapUsed, rss } = process.memoryUsage();
  return {
    mappings: all,
    segmentsMapped: segments,
    heapBytes: heapUsed,
    rssBytes: rss,
  };
}

async function using(log, work) {
  kept.push(log);
  const before = footprint();
  work(log);
  const { mappings, segmentsMapped } = footprint();
  // What is mapped is told of the loop itself; what the heap keeps, V8 knows only after a turn of the event loop.
  await nextTurn();
  const after = { ...footprint(), mappings, segmentsMapped };
  return { before, after, records: log.next, segments: log.segments().length };
}

answerTurns({
  write: async (segments) =>
    using(await Log.open(join(folder, 'log'), { segment: SEGMENT, sync: 'none' }), (log) => {
      while (log.stats().segments < segments) {
        for (let i = 0; i < RECORDS_AT_ONCE; i++) log.append(RECORD);
      }
    }),
  read: async () =>
    using(await Log.open(join(folder, 'log'), { readOnly: true }), (log) => {
      const tail = log.tail({ from: 'earliest' });
      let bytes = 0;
      const count = tail.poll((_, start, end) => {
        bytes += end - start;
      });
      if (count !== log.next || bytes !== count * RECORD.length)
        throw new Error(`${count} of ${log.next} came`);
    }),
  async logs(count) {
    for (let i = 0; i < count; i++) {
      const log = await Log.open(join(folder, `log-${i}`), { sync: 'none' });
      log.append(RECORD);
      await log.close();
    }
    return { count, bytes: diskBytes(folder) };
  },
});

function diskBytes(path) {
  let bytes = statSync(path).blocks * BLOCK;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inside = join(path, entry.name);
    bytes += entry.isDirectory() ? diskBytes(inside) : statSync(inside).blocks * BLOCK;
  }
  return bytes;
}
