// One thread of a hand-made ring between two.
import { workerData } from 'node:worker_threads';
import { play } from '../harness/play.js';
import { Consumer, Producer } from './thread-ring.js';

const TYPE = 1;
const MOST_A_TAKE = 256;

play({
  writing(way) {
    const producer = new Producer(workerData.memory[way]);
    return (source) => producer.write(source.words, TYPE);
  },
  reading(way) {
    const consumer = new Consumer(workerData.memory[way]);
    let tally;
    const handle = (ring, at, words) => tally.take(ring[at], ring[at + words - 1] >>> 24);
    return (into) => {
      tally = into;
      return consumer.take(handle, MOST_A_TAKE);
    };
  },
});
