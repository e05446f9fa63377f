// One end of a flood: flood-process.js writer|reader CONFIG (JSON). The writer is told by the harness
//   run RECORDS MS        writes so many, or for so long, as fast as the reader lets it
//   held RECORDS MS       the same, while the reader's event loop is watched
// and starts the reader, which is told `run` or `held`, and reads until END comes.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Reader, Writer } from '../../dist/index.js';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { END, nextNumber, nowNs, Source, say, Tally } from '../harness/participant.js';
import { PinnedProcess } from '../harness/process.js';
import { percentiles, TurnWatch } from '../harness/turn-watch.js';
import { SIZE } from '../peers/crossings.js';

const RECORDS_BETWEEN_CLOCKS = 256;
/** One who polls lets the event loop have a turn after so many. */
const POLLED_A_TURN = 1024;
const MONITORED_EACH_MS = 1;

const [role, text] = process.argv.slice(2);
const config = JSON.parse(text);

// ---- what is written, and how

/** Each with `write(number)`: false where it has to wait, which `room()` does. */
class ToChannel {
  #writer;
  #source = new Source(SIZE);

  static async create() {
    const to = new ToChannel();
    to.#writer = await Writer.create(config.address, { capacity: config.capacity });
    return to;
  }

  write(number) {
    this.#source.number(number);
    return this.#writer.tryWrite(this.#source.bytes) > 0;
  }

  room() {
    return this.#writer.ready();
  }
}

/** Goes on for as long as `send` doesn't say that too much is under way; then one more tells when that is over. */
class ToMessages {
  #to;
  #perMessage;
  #gathered = [];
  #accepted = true;
  #room;

  constructor(to, perMessage) {
    this.#to = to;
    this.#perMessage = perMessage;
  }

  write(number) {
    if (this.#room !== undefined) return false;
    const record = `${number}`.padEnd(SIZE - 1, 'x') + LAST;
    if (this.#perMessage === 1) {
      this.#send(record);
      return true;
    }
    this.#gathered.push(record);
    if (this.#gathered.length < this.#perMessage && number !== END) return true;
    this.#send(this.#gathered);
    this.#gathered = [];
    return true;
  }

  #send(message) {
    if (this.#accepted) {
      this.#accepted = this.#to.send(message);
      return;
    }
    this.#room = new Promise((resolve) => this.#to.send(message, resolve));
  }

  async room() {
    await this.#room;
    this.#room = undefined;
    this.#accepted = true;
  }
}

const LAST = 'Z';

async function writeTurn(to, from, records, ms) {
  const usage = new Usage();
  const startNs = nowNs();
  const deadline = startNs + ms * 1e6;
  let number = from;
  let sent = 0;
  let refusals = 0;
  do {
    for (let i = 0; i < RECORDS_BETWEEN_CLOCKS; i++) {
      while (!to.write(number)) {
        refusals++;
        await to.room();
      }
      number = nextNumber(number);
    }
    sent += RECORDS_BETWEEN_CLOCKS;
  } while (sent < records && nowNs() < deadline);
  while (!to.write(END)) await to.room();
  return { sent, number, startNs, refusals, ...usage.end() };
}

// ---- how it is read

/** Each returns what reads one turn: until the tally has ended. */
const readers = {
  async 'for await'() {
    const reader = await opened();
    return async (tally) => {
      for await (const { data } of reader) {
        tally.take(numberAt(data, 0), data[SIZE - 1]);
        if (tally.ended) return;
      }
    };
  },
  async batches() {
    const reader = await opened();
    return async (tally) => {
      for await (const batch of reader.batches()) {
        for (const { data } of batch) tally.take(numberAt(data, 0), data[SIZE - 1]);
        if (tally.ended) return;
      }
    };
  },
  async poll() {
    const reader = await opened();
    return async (tally) => {
      const take = (bytes, start, end) => tally.take(numberAt(bytes, start), bytes[end - 1]);
      while (!tally.ended) {
        reader.poll(take, POLLED_A_TURN);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
  },
  async messages() {
    return (tally) =>
      new Promise((resolve) => {
        const takeOne = (record) => tally.take(Number.parseInt(record, 10), record.charCodeAt(SIZE - 1));
        const take = (message) => {
          if (typeof message === 'string') takeOne(message);
          else for (const record of message) takeOne(record);
          if (!tally.ended) return;
          process.off('message', take);
          resolve();
        };
        process.on('message', take);
      });
  },
};

function opened() {
  return Reader.open(config.address, { from: 'oldest' });
}

function numberAt(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/**
 * How long the event loop was held: the time between turns of a chain of setImmediate, of those in which records
 * were read, for empty ones would make the quantiles kinder; and Node's own monitor.
 */
class LoopWatch {
  #turns = new TurnWatch();
  #monitor = monitorEventLoopDelay({ resolution: MONITORED_EACH_MS });
  #on = true;

  constructor(tally) {
    this.#monitor.enable();
    let records = 0;
    const turn = () => {
      this.#turns.turn(performance.now(), tally.records !== records);
      records = tally.records;
      if (this.#on) setImmediate(turn);
    };
    this.#turns.begin(performance.now());
    setImmediate(turn);
  }

  async end() {
    this.#on = false;
    await new Promise((resolve) => setImmediate(resolve));
    this.#monitor.disable();
    return { ...this.#turns.end(), monitor: percentiles(this.#monitor) };
  }
}

// ----

const roles = {
  async reader() {
    const readTurn = await readers[config.how]();
    const tally = new Tally();
    const turn = async (watched) => {
      tally.begin();
      const usage = new Usage();
      const watch = watched ? new LoopWatch(tally) : undefined;
      const done = readTurn(tally);
      say({ running: true });
      await done;
      const endNs = nowNs();
      const { heapUsed, rss } = process.memoryUsage();
      const { records, gaps, sum } = tally;
      return {
        records,
        gaps,
        sum,
        endNs,
        held: await watch?.end(),
        heapBytes: heapUsed,
        rssKiB: Math.round(rss / 1024),
        ...usage.end(),
      };
    };
    answerTurns({ run: () => turn(false), held: () => turn(true) });
  },

  async writer() {
    const messages = config.how === 'messages';
    const channel = messages ? undefined : await ToChannel.create();
    const args = [...config.node, fileURLToPath(import.meta.url), 'reader', text];
    const reader = new PinnedProcess(config.cpus[1], process.execPath, args, {
      serialization: config.serialization,
    });
    await reader.hear();
    const to = channel ?? new ToMessages(reader.messages, config.perMessage);
    const lastByte = messages ? LAST.charCodeAt(0) : new Source(SIZE).bytes.at(-1);
    let number = 0;
    const turn = async (what, records, ms) => {
      reader.say(what);
      await reader.hear();
      const { number: next, ...front } = await writeTurn(to, number, records, ms);
      number = next;
      const back = await reader.hear(ms + 60_000);
      if (back.gaps > 0 || back.records !== front.sent || back.sum !== front.sent * lastByte) {
        throw new Error(`lost or mangled records: ${JSON.stringify({ front, back })}`);
      }
      const elapsedMs = (back.endNs - front.startNs) / 1e6;
      return { records: front.sent, elapsedMs, perSecond: (front.sent / elapsedMs) * 1000, front, back };
    };
    answerTurns({
      run: (records, ms) => turn('run', records, ms),
      held: (records, ms) => turn('held', records, ms),
    });
  },
};

await roles[role]();
