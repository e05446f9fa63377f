// One process of the shm-typed-array side:
//   writer KEY SIZE BATCH | reader KEY | ping KEY-OUT KEY-IN SIZE | pong KEY-IN KEY-OUT SIZE
import { awaitPartner } from '../harness/participant.js';
import { pingTurns, pongTurns, readTurns, writeBatchTurns, writeTurns } from '../harness/roles.js';
import { attach, Consumer, Producer } from './shm-ring.js';

const MOST_A_TAKE = 256;
const [role, ...args] = process.argv.slice(2);

const roles = {
  writer(key, size, batch) {
    const producer = new Producer(opened(key));
    const one = oneByOne(producer);
    if (Number(batch) === 1) writeTurns(Number(size), one);
    else writeBatchTurns(Number(size), allAtOnce(producer), one);
  },
  reader(key) {
    readTurns(tallying(new Consumer(opened(key))));
  },
  ping(outKey, inKey, size) {
    const [out, back] = opened(outKey, inKey);
    pingTurns(Number(size), oneByOne(new Producer(out)), tallying(new Consumer(back)));
  },
  pong(inKey, outKey, size) {
    const [out, back] = opened(outKey, inKey);
    pongTurns(Number(size), oneByOne(new Producer(out)), tallying(new Consumer(back)));
  },
};

function opened(...keys) {
  if (role === 'writer' || role === 'ping') keys.forEach(segment);
  awaitPartner();
  const segments = keys.map(segment);
  return segments.length === 1 ? segments[0] : segments;
}

function segment(key) {
  return attach(Number(key));
}

function put(producer, { words, bytes }) {
  return producer.put(words, bytes.length);
}

function oneByOne(producer) {
  return (source) => {
    if (!put(producer, source)) return false;
    producer.publish();
    return true;
  };
}

/** Resumes where it was refused; what went in before is published, so that the reader can make room. */
function allAtOnce(producer) {
  let done = 0;
  return (sources) => {
    while (done < sources.length && put(producer, sources[done])) done++;
    producer.publish();
    if (done < sources.length) return false;
    done = 0;
    return true;
  };
}

function tallying(consumer) {
  let tally;
  const handle = (ring, at, bytes) => {
    const last = bytes - 1;
    tally.take(ring[at], (ring[at + (last >> 2)] >>> ((last & 3) * 8)) & 0xff);
  };
  return (into) => {
    tally = into;
    return consumer.take(handle, MOST_A_TAKE);
  };
}

roles[role](...args);
