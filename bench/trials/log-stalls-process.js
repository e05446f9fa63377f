// The turns of an event loop that appends to a log at a steady pace:
//   log-stalls-process.js FOLDER EVERY-MS RECORD MB/S      EVERY-MS 0: without syncing
//   run SECONDS
import { Log } from '../../dist/log/index.js';
import { answerTurns } from '../harness/listener.js';
import { keepPace } from '../harness/pace.js';

const [folder, everyMs, recordBytes, megabytesASecond] = process.argv.slice(2);
const record = Buffer.alloc(Number(recordBytes), 0x11);
const log = await Log.open(folder, {
  sync: everyMs === '0' ? 'none' : { everyMs: Number(everyMs) },
});

answerTurns({
  async run(seconds) {
    let before;
    const facts = await keepPace({
      seconds,
      aMs: (Number(megabytesASecond) * 1000) / record.length,
      act: () => void log.append(record),
      begun() {
        before = log.stats();
      },
    });
    const { segments, rollStalls } = log.stats();
    await log.close();
    return { ...facts, rolls: segments - before.segments, rollStalls: rollStalls - before.rollStalls };
  },
});
