// One process of a fan-out: fan-out-process.js writer|reader CONFIG (JSON)
//   writer    flood MS          records as fast as the slowest reader lets it
//             bursts MS COUNT   COUNT records as fast as it can; again, once all readers have them; and so on
//             paced MS RATE     so many a second: each millisecond those that are due
//   reader    busy              reads until END comes, and looks again at once where nothing is there
//             each-ms           the same, but sleeps a millisecond between two looks
import { setTimeout } from 'node:timers/promises';
import { Reader, Writer } from '../../dist/index.js';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { END, nextNumber, nowNs, Source, say, Tally } from '../harness/participant.js';

const RECORDS_BETWEEN_CLOCKS = 256;
const [role, text] = process.argv.slice(2);
const { path, size, capacity } = JSON.parse(text);

class Flood {
  #writer;
  #source = new Source(size);
  #number = 0;
  refusals = 0;

  constructor(writer) {
    this.#writer = writer;
  }

  begin() {
    this.#number = 0;
    this.refusals = 0;
  }

  write(records) {
    for (let i = 0; i < records; i++) {
      this.#source.number(this.#number);
      this.#number = nextNumber(this.#number);
      this.#put();
    }
  }

  end() {
    this.#source.number(END);
    this.#put();
  }

  #put() {
    while (this.#writer.tryWrite(this.#source.bytes) < 0) this.refusals++;
  }

  sum(records) {
    return records * this.#source.bytes.at(-1);
  }
}

/** The cpu that the process used within `work`, in microseconds. */
function cpuOf(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

const roles = {
  async writer() {
    const writer = await Writer.create(path, { capacity });
    const flood = new Flood(writer);

    async function allRead() {
      writer.heartbeat(); // publishes the tail
      while (writer.readers().some(({ lagBytes }) => lagBytes > 0)) await setTimeout(1);
    }

    async function turn(work) {
      flood.begin();
      const usage = new Usage();
      const startNs = nowNs();
      const done = await work(startNs);
      const { refusals } = flood;
      flood.end();
      return { ...done, refusals, sum: flood.sum(done.records), startNs, endNs: nowNs(), ...usage.end() };
    }

    answerTurns({
      flood: (ms) =>
        turn((startNs) => {
          let records = 0;
          do {
            flood.write(RECORDS_BETWEEN_CLOCKS);
            records += RECORDS_BETWEEN_CLOCKS;
          } while (nowNs() < startNs + ms * 1e6);
          return { records };
        }),

      bursts: (ms, count) =>
        turn(async (startNs) => {
          let records = 0;
          let writingUs = 0;
          do {
            await allRead();
            writingUs += cpuOf(() => flood.write(count));
            records += count;
          } while (nowNs() < startNs + ms * 1e6);
          return { records, writingUs };
        }),

      paced: (ms, rate) =>
        turn(async (startNs) => {
          let records = 0;
          let writingUs = 0;
          let passedNs = 0;
          do {
            await setTimeout(1);
            passedNs = nowNs() - startNs;
            const due = Math.floor((passedNs * rate) / 1e9) - records;
            writingUs += cpuOf(() => flood.write(due));
            records += due;
          } while (passedNs < ms * 1e6);
          return { records, writingUs };
        }),
    });
  },

  async reader() {
    const tally = new Tally();
    const take = (bytes, start, end) => {
      const number =
        bytes[start] | (bytes[start + 1] << 8) | (bytes[start + 2] << 16) | (bytes[start + 3] << 24);
      tally.take(number, bytes[end - 1]);
    };

    function pollBusily(reader) {
      while (!tally.ended) reader.poll(take);
    }

    async function pollEachMs(reader) {
      while (!tally.ended) {
        reader.poll(take);
        await setTimeout(1);
      }
    }

    async function turn(read) {
      tally.begin();
      tally.expected = 0;
      const reader = await Reader.open(path, { gate: true });
      say({ running: true });
      await read(reader);
      const endNs = nowNs();
      reader.close();
      const { records, sum, gaps } = tally;
      return { records, sum, gaps, endNs };
    }

    answerTurns({ busy: () => turn(pollBusily), 'each-ms': () => turn(pollEachMs) });
  },
};

await roles[role]();
