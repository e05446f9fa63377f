// One thread of two that post messages to each other and spin on receiveMessageOnPort. The way of a port has no end
// to what it holds, so the reader counts what it took in memory that both share, and a writer who is too far ahead waits.
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { play } from '../harness/play.js';
import { messageForms } from './messages.js';
import { mostUnderWay } from './window.js';

const { port, memory } = workerData;

play({
  writing(way, size, form) {
    const taken = new Int32Array(memory[way], 0, 1);
    const { make } = messageForms[form](size);
    const most = mostUnderWay(size);
    let posted = 0;
    return (source) => {
      if (((posted - Atomics.load(taken, 0)) | 0) >= most) return false;
      port.postMessage(make(source.words[0]));
      posted = (posted + 1) | 0;
      return true;
    };
  },
  reading(way, size, form) {
    const taken = new Int32Array(memory[way], 0, 1);
    const { numberOf, lastByteOf } = messageForms[form](size);
    return (tally) => {
      const received = receiveMessageOnPort(port);
      if (received === undefined) return 0;
      Atomics.add(taken, 0, 1);
      tally.take(numberOf(received.message), lastByteOf(received.message));
      return 1;
    };
  },
});
