// One end of a crossing: roundtrip-process.js front|back CONFIG (JSON). The front is told by the harness
//   trips MS PAUSE-MS     round trips, each after such a pause, or back to back
//   latency MS PAUSE-MS   how long each took
//   idle SECONDS          both ends listen, and nobody says anything
// and starts the back, which is told `turn`, and answers until END comes.
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { END, LAST_BYTE, nextNumber, say } from '../harness/participant.js';
import { partnerStarter } from '../harness/partner.js';
import { sleepSync } from '../harness/sleep.js';
import { crossings, SIZE } from '../peers/crossings.js';

const TRIPS_BETWEEN_CLOCKS = 16;

const [role, text] = process.argv.slice(2);
const config = { size: SIZE, ...JSON.parse(text) };
const crossing = crossings[config.crossing];

const roles = {
  async back() {
    const end = await crossing.back(config);
    answerTurns({
      async turn() {
        const usage = new Usage(config);
        let answered = 0;
        const answer = (number, lastByte) => {
          if (lastByte !== LAST_BYTE) throw new Error(`${number} came mangled`);
          if (number === END) return false;
          end.send(number);
          answered++;
          return true;
        };
        say({ running: true });
        if (config.blocks) end.exchange(answer);
        else await end.listen(answer);
        return { answered, ...usage.end() };
      },
    });
  },

  async front() {
    const start = partnerStarter(fileURLToPath(import.meta.url), text, config);
    const { back, end } = await crossing.front(start, config);
    const pair = new Pair(back, end);
    answerTurns({
      trips: (ms, pauseMs) => pair.trips(ms, pauseMs),
      latency: (ms, pauseMs) => pair.trips(ms, pauseMs, true),
      idle: (seconds) => pair.idle(seconds),
    });
  },
};

class Pair {
  #back;
  #end;
  #number = 0;

  constructor(back, end) {
    this.#back = back;
    this.#end = end;
  }

  async trips(ms, pauseMs, keep = pauseMs > 0) {
    await this.#begin();
    const took = [];
    const usage = new Usage(config);
    const start = performance.now();
    const deadline = start + ms;
    const clockEach = keep ? 1 : TRIPS_BETWEEN_CLOCKS;
    let trips = 0;
    let before = start;
    let now = start;

    const next = () => {
      if (pauseMs > 0) before = performance.now();
      this.#end.send(this.#number);
    };
    /** Whether there shall be another trip. */
    const arrived = (number, lastByte) => {
      if (lastByte !== LAST_BYTE) throw new Error(`${number} came mangled`);
      if (number !== this.#number) throw new Error(`${number} came instead of ${this.#number}`);
      this.#number = nextNumber(number);
      if (++trips % clockEach === 0) {
        now = performance.now();
        if (keep) took.push((now - before) * 1000);
        before = now;
        if (now >= deadline) return false;
      }
      return true;
    };

    if (config.blocks) this.#exchange(next, arrived, pauseMs);
    else await this.#converse(next, arrived, pauseMs);
    const own = usage.end();
    const back = await this.#finish();
    if (back.answered !== trips) throw new Error(`${back.answered} answers to ${trips} messages`);
    const { heapUsed, rss } = process.memoryUsage();
    return {
      trips,
      ms: now - start,
      us: keep ? distribution(took) : { mean: ((now - start) * 1000) / trips },
      front: own,
      back,
      heapBytes: heapUsed,
      rssKiB: Math.round(rss / 1024),
    };
  }

  async #converse(next, arrived, pauseMs) {
    const done = this.#end.listen((number, lastByte) => {
      if (!arrived(number, lastByte)) return false;
      if (pauseMs > 0) globalThis.setTimeout(next, pauseMs);
      else next();
      return true;
    });
    next();
    await done;
  }

  #exchange(next, arrived, pauseMs) {
    let more = true;
    while (more) {
      if (pauseMs > 0) sleepSync(pauseMs);
      next();
      this.#end.exchange((number, lastByte) => {
        more = arrived(number, lastByte);
        return false;
      });
    }
  }

  async idle(seconds) {
    await this.#begin();
    const usage = new Usage(config);
    let own;
    if (config.blocks) {
      sleepSync(seconds * 1000);
      own = usage.end();
    } else {
      const done = this.#end.listen(() => false);
      await setTimeout(seconds * 1000);
      own = usage.end();
      this.#end.send(this.#number); // so that this end stops listening, too
      await done;
    }
    return { front: own, back: await this.#finish() };
  }

  async #begin() {
    this.#back.say('turn');
    await this.#back.hear();
  }

  #finish() {
    this.#end.send(END);
    return this.#back.hear();
  }
}

function distribution(took) {
  const sorted = Float64Array.from(took).sort();
  const at = (q) => sorted[Math.floor((sorted.length - 1) * q)];
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), p9999: at(0.9999), max: at(1) };
}

await roles[role]();
