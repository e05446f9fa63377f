// One thread of a ringbuf.js between two. It knows elements and no records, so both ends know how long one is: it
// goes in by one `push`, once there is room for all of it, and comes out by one `pop`, as those of its own
// ParameterWriter and ParameterReader. `many`: the reader pops as many as there are at once, and cuts them apart.
import { workerData } from 'node:worker_threads';
import { RingBuffer } from 'ringbuf.js';
import { play } from '../harness/play.js';

const MOST_WORDS_A_POP = 4096;

const RECORDS_A_POP = { one: () => 1, many: (words) => Math.max(1, Math.floor(MOST_WORDS_A_POP / words)) };

function opened(way) {
  return new RingBuffer(workerData.memory[way], Int32Array);
}

play({
  writing(way) {
    const ring = opened(way);
    return ({ words }) => {
      if (ring.availableWrite() < words.length) return false;
      ring.push(words);
      return true;
    };
  },
  reading(way, size, howMany) {
    const ring = opened(way);
    const words = size / 4;
    const popped = new Int32Array(RECORDS_A_POP[howMany](words) * words);
    return (tally) => {
      if (ring.empty()) return 0;
      const length = ring.pop(popped);
      for (let at = 0; at < length; at += words) tally.take(popped[at], popped[at + words - 1] >>> 24);
      return length / words;
    };
  },
});
