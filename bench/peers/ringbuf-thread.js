// One thread of a ringbuf.js between two. It knows elements, no records: all of a record go in by one `push`, so
// that whoever knows their size finds whole ones; as many as there are come out by one `pop`.
import { workerData } from 'node:worker_threads';
import { RingBuffer } from 'ringbuf.js';
import { play } from '../harness/play.js';

const MOST_WORDS_A_POP = 4096;

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
  reading(way, size) {
    const ring = opened(way);
    const words = size / 4;
    const popped = new Int32Array(Math.max(1, Math.floor(MOST_WORDS_A_POP / words)) * words);
    return (tally) => {
      const length = ring.pop(popped);
      for (let at = 0; at < length; at += words) tally.take(popped[at], popped[at + words - 1] >>> 24);
      return length / words;
    };
  },
});
