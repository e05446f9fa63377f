// One end of a stream at a fixed rate: fixed-rate-process.js front|back CONFIG (JSON). The front is told by the harness
//   run RATE MS     sends so many a second; says how long after the moment that it should have gone each arrived
//   forget RATE     what was seen at that rate: the warming up
//   all RATE        the same of all turns since
// and starts the back.
import { createHistogram } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Reader, Writer } from '../../dist/index.js';
import { clockNs } from '../harness/clock.js';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { END, LAST_BYTE, Source, say, Tally } from '../harness/participant.js';
import { partnerStarter } from '../harness/partner.js';
import { crossings } from '../peers/crossings.js';

/** So often the sender's event loop has a turn. */
const LOOP_EACH_NS = 1e6;
/** Who sends or receives something later than this doesn't keep the rate. */
const GRACE_NS = 50e6;
const QUANTILES = { p50: 50, p90: 90, p99: 99, p999: 99.9, p9999: 99.99 };

const [role, text] = process.argv.slice(2);
const config = JSON.parse(text);

// ---- a ring, and the ways to read it

class Writing {
  #writer;
  #source = new Source(config.size);

  static async create() {
    const writing = new Writing();
    writing.#writer = await Writer.create(config.address);
    return writing;
  }

  send(number) {
    this.#source.number(number);
    return this.#writer.tryWrite(this.#source.bytes) > 0;
  }

  /** What was refused goes first. */
  async room() {
    do await this.#writer.ready();
    while (this.#writer.tryWrite(this.#source.bytes) < 0);
  }
}

const readings = {
  spin: (reader, take, more) => {
    while (more()) reader.poll(take);
  },
  async poll(reader, take, more) {
    while (more() && (await reader.ready())) reader.poll(take);
  },
  async 'for await'(reader, take, more) {
    for await (const { data } of reader) {
      take(data, 0, data.length);
      if (!more()) return;
    }
  },
};

const ring = {
  async front(start) {
    const end = await Writing.create();
    return { back: await start(), end };
  },
  async back() {
    const reader = await Reader.open(config.address, { from: 'oldest', idle: config.idle });
    return {
      async listen(handler) {
        let goesOn = true;
        const take = (bytes, start, end) => {
          goesOn = handler(bytes.readInt32LE(start), bytes[end - 1]);
        };
        await readings[config.how](reader, take, () => goesOn);
      },
    };
  },
};

const crossing = config.crossing === 'ring' ? ring : crossings[config.crossing];

// ---- when what came

/** Moments of a turn are kept as they come, and looked at when it is over. */
class Arrivals {
  #ns = new Float64Array(0);
  #all = new Map();
  tally = new Tally();

  begin(records) {
    if (this.#ns.length <= records) this.#ns = new Float64Array(records + 1);
    this.tally.begin();
    this.tally.expected = 0;
  }

  take(number, lastByte) {
    this.#ns[this.tally.records] = clockNs();
    this.tally.take(number, lastByte);
    return !this.tally.ended;
  }

  get lastNs() {
    return this.#ns[this.tally.records - 1];
  }

  /** Record `i` should have gone `i` intervals after the start. */
  latencies(rate, startNs) {
    const histogram = newHistogram();
    const interval = 1e9 / rate;
    for (let i = 0; i < this.tally.records; i++) {
      histogram.record(Math.max(1, Math.round(this.#ns[i] - startNs - i * interval)));
    }
    if (!this.#all.has(rate)) this.forget(rate);
    this.#all.get(rate).add(histogram);
    return describe(histogram);
  }

  forget(rate) {
    this.#all.set(rate, newHistogram());
    return {};
  }

  all(rate) {
    return describe(this.#all.get(rate));
  }
}

function newHistogram() {
  return createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
}

function describe(histogram) {
  const quantiles = Object.entries(QUANTILES).map(([name, percent]) => [name, histogram.percentile(percent)]);
  return { count: histogram.count, ...Object.fromEntries(quantiles), max: histogram.max };
}

// ---- what goes when

function immediate() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Sends each record as soon as its moment has come, and gives up when the time is over. */
async function pace(end, rate, ms) {
  const records = Math.round((rate * ms) / 1000);
  const interval = 1e9 / rate;
  const startNs = clockNs();
  const overNs = startNs + ms * 1e6 + GRACE_NS;
  let sent = 0;

  /** False where it has to wait for room. */
  function sendDue(now) {
    const due = Math.min(records, Math.floor((now - startNs) / interval) + 1);
    while (sent < due) if (!end.send(sent++)) return false;
    return true;
  }

  let loopNs = startNs;
  for (let now = startNs; sent < records && now < overNs; now = clockNs()) {
    if (!sendDue(now)) await end.room();
    if (now - loopNs < LOOP_EACH_NS) continue;
    loopNs = now;
    await immediate();
  }
  if (!end.send(END)) await end.room();
  return { startNs, records, sent };
}

// ----

const roles = {
  async back() {
    const end = await crossing.back(config);
    const arrivals = new Arrivals();
    answerTurns({
      async receive(records) {
        arrivals.begin(records);
        say({ receiving: true });
        const usage = new Usage();
        await end.listen((number, lastByte) => arrivals.take(number, lastByte));
        const { records: received, gaps, sum } = arrivals.tally;
        return { received, gaps, sum, lastNs: arrivals.lastNs, ...usage.end() };
      },
      latencies: (rate, startNs) => arrivals.latencies(rate, startNs),
      forget: (rate) => arrivals.forget(rate),
      all: (rate) => arrivals.all(rate),
    });
  },

  async front() {
    const start = partnerStarter(fileURLToPath(import.meta.url), text, config);
    const { back, end } = await crossing.front(start, config);
    const ask = (line) => {
      back.say(line);
      return back.hear();
    };
    answerTurns({
      async run(rate, ms) {
        await ask(`receive ${Math.round((rate * ms) / 1000)}`); // receiving
        const usage = new Usage();
        const { startNs, records, sent } = await pace(end, rate, ms);
        const front = usage.end();
        const heard = await back.hear();
        if (heard.gaps > 0 || heard.received !== sent || heard.sum !== sent * LAST_BYTE) {
          throw new Error(`lost or mangled records: ${JSON.stringify({ sent, heard })}`);
        }
        const tookNs = Math.max(heard.lastNs - startNs, ms * 1e6);
        const kept = sent === records && tookNs < ms * 1e6 + GRACE_NS;
        const latencies = await ask(`latencies ${rate} ${startNs}`);
        return { sent, kept, perSecond: (sent / tookNs) * 1e9, latencies, front, back: heard };
      },
      forget: (rate) => ask(`forget ${rate}`),
      all: (rate) => ask(`all ${rate}`),
    });
  },
};

await roles[role]();
