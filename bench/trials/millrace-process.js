// One process of a Millrace side:
//   writer PATH SIZE by-one|by-claim|by-batch | reader PATH IDLE [MS], where MS is how long it sleeps between two looks
//   ping PATH-OUT PATH-IN SIZE IDLE | pong PATH-IN PATH-OUT SIZE IDLE
import { Reader, Writer } from '../../dist/index.js';
import { awaitPartner } from '../harness/participant.js';
import { pingTurns, pongTurns, readTurns, writeBatchTurns, writeTurns } from '../harness/roles.js';
import { sleepSync } from '../harness/sleep.js';

const CAPACITY = '8MiB';
const [role, ...args] = process.argv.slice(2);

const roles = {
  async writer(path, size, how) {
    const writer = await created(path);
    awaitPartner();
    const one = byOne(writer);
    if (how === 'by-batch') writeBatchTurns(Number(size), byBatch(writer), one);
    else writeTurns(Number(size), how === 'by-claim' ? byClaim(writer) : one);
  },
  async reader(path, idle, pauseText = '0') {
    const pauseMs = Number(pauseText);
    awaitPartner();
    const poll = tallying(await opened(path, idle));
    readTurns(pauseMs > 0 ? sleeping(pauseMs, poll) : poll);
  },
  async ping(outPath, inPath, size, idle) {
    const writer = await created(outPath);
    awaitPartner();
    pingTurns(Number(size), byOne(writer), tallying(await opened(inPath, idle)));
  },
  async pong(inPath, outPath, size, idle) {
    const writer = await created(outPath);
    awaitPartner();
    pongTurns(Number(size), byOne(writer), tallying(await opened(inPath, idle)));
  },
};

function created(path) {
  return Writer.create(path, { mode: 'ring', capacity: CAPACITY });
}

function opened(path, idle) {
  return Reader.open(path, { from: 'oldest', gate: true, idle });
}

function byOne(writer) {
  return (source) => writer.tryWrite(source.bytes) > 0;
}

function byClaim(writer) {
  return (source) => {
    const claim = writer.claim(source.bytes.length);
    if (claim === undefined) return false;
    claim.bytes.set(source.bytes, claim.start);
    claim.commit();
    return true;
  };
}

function byBatch(writer) {
  let items;
  return (sources) => {
    items ??= sources.map((source) => source.bytes);
    return writer.tryWriteBatch(items) > 0;
  };
}

function tallying(reader) {
  let tally;
  const handle = (bytes, start, end) => {
    const number =
      bytes[start] | (bytes[start + 1] << 8) | (bytes[start + 2] << 16) | (bytes[start + 3] << 24);
    tally.take(number, bytes[end - 1]);
  };
  return (into) => {
    tally = into;
    return reader.poll(handle);
  };
}

function sleeping(pauseMs, poll) {
  return (tally) => {
    sleepSync(pauseMs);
    return poll(tally);
  };
}

await roles[role](...args);
