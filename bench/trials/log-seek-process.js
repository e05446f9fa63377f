// A log of many segments: log-seek-process.js FOLDER SEGMENT SIZE
// Opening it is what is measured first; told with `ready`. Then
//   fill SEGMENTS     appends until there are so many
//   add RECORDS       appends so many more
//   offsets COUNT, times COUNT   goes to so many random places, each to read one record there
//   finish            closes it
//   die               is gone as by kill -9
import { createHistogram } from 'node:perf_hooks';
import { Log } from '../../dist/log/index.js';
import { answerTurns } from '../harness/listener.js';
import { mappings } from '../harness/mappings.js';

const RECORDS_A_BATCH = 256;

const [folder, segment, size] = process.argv.slice(2);
const records = Array.from({ length: RECORDS_A_BATCH }, () => Buffer.alloc(Number(size), 0x11));

const from = performance.now();
const log = await Log.open(folder, { segment: Number(segment), sync: 'none' });
const openMs = performance.now() - from;
const mapped = mappings().segments;

/** Goes to each of `count` places that `draw` makes; `check(tail, place)` says whether it came to the right record. */
function seek(count, draw, check) {
  const tail = log.tail({ from: 'earliest' });
  const ns = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  let place;
  let right = 0;
  const take = () => {
    if (check(tail, place)) right++;
  };
  for (let i = 0; i < count; i++) {
    place = draw();
    const before = performance.now();
    tail.seek(place);
    tail.poll(take, 1);
    ns.record(Math.max(1, Math.round((performance.now() - before) * 1e6)));
  }
  tail.close();
  if (right !== count) throw new Error(`${count - right} of ${count} seeks came to another record`);
  const us = (percent) => ns.percentile(percent) / 1000;
  return {
    count,
    us: { p50: us(50), p90: us(90), p99: us(99), max: ns.max / 1000 },
    mapped: mappings().segments,
  };
}

function timestampOf(offset) {
  const tail = log.tail({ from: offset });
  const { timestamp } = tail.read();
  tail.close();
  return timestamp;
}

const between = (low, high) => low + Math.floor(Math.random() * (high - low));

answerTurns({
  opened: () => ({
    openMs,
    mapped,
    segments: log.segments().length,
    records: log.next,
    recovery: log.recovery,
  }),
  fill(segments) {
    while (log.segments().length < segments) log.appendBatch(records);
    return { segments: log.segments().length, records: log.next };
  },
  add(count) {
    for (let left = count; left > 0; left -= RECORDS_A_BATCH) log.appendBatch(records);
    return { records: log.next };
  },
  offsets(count) {
    const { earliest, next } = log;
    return seek(
      count,
      () => between(earliest, next),
      (tail, offset) => tail.offset === offset,
    );
  },
  times(count) {
    const { earliest, next } = log;
    const [first, last] = [timestampOf(earliest), timestampOf(next - 1)];
    return seek(
      count,
      () => ({ time: { us: between(first, last) } }),
      (tail, { time }) => tail.timestamp >= time.us,
    );
  },
  async finish() {
    await log.close();
    return { closed: true };
  },
  die: () => process.kill(process.pid, 'SIGKILL'),
});
