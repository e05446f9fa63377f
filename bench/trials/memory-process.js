// One process whose memory is looked at: memory-process.js writer|reader|sender|receiver CONFIG (JSON)
//   writer     open                          makes the ring
//              forward BYTES                 writes so much of large records, which nobody reads
//              write, tryWrite, claim, batch RECORDS
//   reader     open
//              poll, read, readBatch, for-await, batches RECORDS, which are there
//   sender     send RECORDS                  to the receiver, which it starts; answers for both
//   all        resident                      what of them is in memory
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Reader, Writer } from '../../dist/index.js';
import { Allocation } from '../harness/allocation.js';
import { answerTurns } from '../harness/listener.js';
import { BATCH, LAST_BYTE, nextNumber, Source, say, Tally } from '../harness/participant.js';
import { PinnedProcess } from '../harness/process.js';

const LARGE = 2 ** 16;

const [role, text] = process.argv.slice(2);
const config = JSON.parse(text);
const { path, size, capacity } = config;

/** Bytes: all, and what of that is shared memory, such as a ring on tmpfs. */
function resident() {
  const status = readFileSync('/proc/self/status', 'latin1');
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) * 1024;
  return { all: bytes('VmRSS'), shared: bytes('RssShmem') };
}

async function allocating(work) {
  const allocation = new Allocation();
  await work();
  return allocation.end();
}

// ---- writing

function writing(writer) {
  const sources = Array.from({ length: BATCH }, () => new Source(size));
  const batch = sources.map(({ bytes }) => bytes);
  let number = 0;
  const numbered = (source) => {
    source.number(number);
    number = nextNumber(number);
    return source.bytes;
  };
  const each = (write) => (records) => {
    for (let i = 0; i < records; i++) write();
  };
  const refuse = () => {
    throw new Error('refused, though there is room');
  };
  return {
    write: each(() => writer.write(numbered(sources[0]))),
    tryWrite: each(() => {
      if (writer.tryWrite(numbered(sources[0])) < 0) refuse();
    }),
    claim: each(() => {
      const claim = writer.claim(size) ?? refuse();
      claim.bytes.set(numbered(sources[0]), claim.start);
      claim.commit();
    }),
    batch(records) {
      for (let left = records; left > 0; left -= BATCH) {
        for (const source of sources) numbered(source);
        if (writer.tryWriteBatch(batch) < 0) refuse();
      }
    },
  };
}

// ---- reading

function numberAt(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/** Each reads until the tally has so many records. */
function reading(reader, tally) {
  const take = (bytes, start, end) => tally.take(numberAt(bytes, start), bytes[end - 1]);
  const takeOne = ({ data }) => tally.take(numberAt(data, 0), data[size - 1]);
  return {
    poll(records) {
      while (tally.records < records) reader.poll(take, records - tally.records);
    },
    read(records) {
      while (tally.records < records) takeOne(reader.read());
    },
    readBatch(records) {
      while (tally.records < records)
        reader.readBatch(Math.min(256, records - tally.records)).forEach(takeOne);
    },
    async 'for-await'(records) {
      for await (const record of reader) {
        takeOne(record);
        if (tally.records === records) return;
      }
    },
    async batches(records) {
      for await (const batch of reader.batches()) {
        batch.forEach(takeOne);
        if (tally.records === records) return;
      }
    },
  };
}

function verified(tally, records) {
  if (tally.records === records && tally.gaps === 0 && tally.sum === records * LAST_BYTE) return;
  throw new Error(`lost or mangled records: ${JSON.stringify(tally)} of ${records}`);
}

/** An action for each way: what it allocates. */
function measured(ways, tally) {
  return Object.fromEntries(
    Object.entries(ways).map(([way, work]) => [
      way,
      async (records) => {
        tally?.begin();
        const allocated = await allocating(() => work(records));
        if (tally) verified(tally, records);
        return allocated;
      },
    ]),
  );
}

/** Actions that are there once the channel is. */
function actionsOnce(open) {
  const actions = {
    async open() {
      Object.assign(actions, await open());
      return {};
    },
    resident,
  };
  return actions;
}

// ----

const textOf = (number) => `${number}`.padEnd(size - 1, 'x') + String.fromCharCode(LAST_BYTE);

const roles = {
  writer() {
    answerTurns(
      actionsOnce(async () => {
        const writer = await Writer.create(path, { capacity });
        const large = new Uint8Array(LARGE);
        return {
          forward(bytes) {
            while (writer.position < bytes) writer.tryWrite(large);
            return {};
          },
          ...measured(writing(writer)),
        };
      }),
    );
  },

  reader() {
    answerTurns(
      actionsOnce(async () => {
        const tally = new Tally();
        return measured(reading(await Reader.open(path, { gate: true }), tally), tally);
      }),
    );
  },

  async sender() {
    const args = [...config.node, fileURLToPath(import.meta.url), 'receiver', text];
    const receiver = new PinnedProcess(config.cpus[1], process.execPath, args, { serialization: 'json' });
    await receiver.hear();
    const to = receiver.messages;
    let number = 0;
    const sendAll = async (records) => {
      let accepted = true;
      for (let i = 0; i < records; i++) {
        const message = textOf(number);
        number = nextNumber(number);
        if (accepted) {
          accepted = to.send(message);
        } else {
          await new Promise((resolve) => to.send(message, resolve));
          accepted = true;
        }
      }
    };
    const askReceiver = async (line) => {
      receiver.say(line);
      return receiver.hear();
    };
    answerTurns({
      async send(records) {
        await askReceiver(`receive ${records}`); // receiving
        const sender = await allocating(() => sendAll(records));
        return { sender, receiver: await receiver.hear() };
      },
      async resident() {
        return { sender: resident(), receiver: await askReceiver('resident') };
      },
    });
  },

  receiver() {
    const tally = new Tally();
    const receive = (records) =>
      new Promise((resolve) => {
        const take = (record) => {
          tally.take(Number.parseInt(record, 10), record.charCodeAt(size - 1));
          if (tally.records < records) return;
          process.off('message', take);
          resolve();
        };
        process.on('message', take);
      });
    answerTurns({
      async receive(records) {
        tally.begin();
        say({ receiving: true });
        const allocated = await allocating(() => receive(records));
        verified(tally, records);
        return allocated;
      },
      resident,
    });
  },
};

await roles[role]();
