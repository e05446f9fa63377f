import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { Side } from '../harness/side.js';
import { INSTALLED } from '../peers/crossings.js';

// What takes part in a contest (harness/contest.js). A turn is told by
//   perSecond, records   records or round trips
//   front, back          { ms, cpuMs, waitedMs } of either end
//   seen                 of those records, where the reader doesn't see all of them
//   us                   how long round trips took, where each was timed: after pauses, which it leaves out

const LEAST_SIZE = 16;
const MOST_SIZE = 65536;

/** Some of them know whole words only, and the least messages of text have their number in them, and more. */
export function checkSizes(sizes) {
  const wrong = sizes.find((size) => size % 4 !== 0 || size < LEAST_SIZE || size > MOST_SIZE);
  if (wrong === undefined) return;
  throw new Error(`${wrong} is no size from ${LEAST_SIZE} to ${MOST_SIZE} that is a multiple of 4`);
}

/** Makes contenders for one run of a trial: `place` is its { folder, cpus, node }. */
export class Contenders {
  #place;
  #addresses = 0;

  constructor(place) {
    this.#place = place;
  }

  /** Two processes or threads that spin, described as in harness/side.js. */
  spinning(name, description) {
    const { cpus, node } = this.#place;
    const start = async () => {
      const side = await Side.start(withFlags(description, node), cpus);
      return {
        turn: async (ms) => {
          const { records, perSecond, front, back } = await side.turn(ms);
          return { records, perSecond, seen: back.seen, front: whoSpun(front), back: whoSpun(back) };
        },
        end: () => side.end(),
      };
    };
    return { name, start, mayBeAbsent: description.mayBeAbsent };
  }

  /** Two event loops or blocked threads; the front has started the back, and is asked `what` each turn. */
  talking(name, script, what, config) {
    const { folder, cpus, node } = this.#place;
    const address = join(folder, `address-${this.#addresses++}`);
    const ofThread = config.crossing === 'postMessage';
    const text = JSON.stringify({ ...config, address, cpus, node, ofThread });
    const command = [process.execPath, ...node, fileURLToPath(script), 'front', text];
    const toTurn = ({ records, trips, elapsedNs, ms, us, front, back }) => ({
      records: records ?? trips,
      perSecond: records === undefined ? (trips / ms) * 1e3 : (records / elapsedNs) * 1e9,
      us: us?.p50 === undefined ? undefined : us,
      front: usageOf(front),
      back: usageOf(back),
    });
    const mayBeAbsent = INSTALLED.includes(config.crossing);
    return { ...this.#asking(name, cpus[0], command, what, toTurn), mayBeAbsent };
  }

  /** Two processes in C that wake each other: see floor/waking.c. */
  waking(name, way) {
    const { folder, cpus } = this.#place;
    const command = [floorProgram('waking'), way, folder, ...cpus.map(String)];
    const ask = (ms) => `run ${ms}`;
    return this.#asking(name, cpus.join(','), command, ask, ({ trips, ms, cpuMs }) => ({
      records: trips,
      perSecond: (trips / ms) * 1e3,
      front: { ms, cpuMs: cpuMs[0], waitedMs: 0 },
      back: { ms, cpuMs: cpuMs[1], waitedMs: 0 },
    }));
  }

  /** One process in C that copies records: see floor/copying.c. */
  copying(name, size) {
    const command = [floorProgram('copying'), String(size)];
    const ask = (ms) => `run ${ms}`;
    return this.#asking(name, this.#place.cpus[0], command, ask, ({ records, ms, cpuMs }) => ({
      records,
      perSecond: (records / ms) * 1e3,
      front: { ms, cpuMs, waitedMs: ms - cpuMs },
      back: { ms, cpuMs: 0, waitedMs: 0 },
    }));
  }

  #asking(name, cpu, [command, ...args], ask, toTurn) {
    const start = async () => {
      const process = new PinnedProcess(cpu, command, args);
      try {
        await process.hear(); // ready
      } catch (error) {
        await process.end();
        throw error;
      }
      return {
        async turn(ms) {
          process.say(ask(ms));
          return toTurn(await process.hear());
        },
        end: () => process.end(),
      };
    };
    return { name, start };
  }
}

/** What a program in C doesn't say: as it spins, it waited for what it didn't get of its cpu. */
function whoSpun({ wallUs, cpuUs, waitedUs = Math.max(0, wallUs - cpuUs) }) {
  return { ms: wallUs / 1e3, cpuMs: cpuUs / 1e3, waitedMs: waitedUs / 1e3 };
}

function usageOf({ ms, cpuMs, waitedMs }) {
  return { ms, cpuMs, waitedMs };
}

function withFlags({ front, back, threads, ...rest }, node) {
  if (threads !== undefined) return { ...rest, threads: { ...threads, node } };
  const flagged = ([command, ...args]) =>
    command === process.execPath ? [command, ...node, ...args] : [command, ...args];
  return { ...rest, front: flagged(front), back: flagged(back) };
}
