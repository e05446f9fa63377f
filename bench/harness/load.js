import { openSync, readFileSync, readSync } from 'node:fs';
import os from 'node:os';

/**
 * Who else is there: load of the machine now, processes that want to run now, and how this session is
 * favoured over others.
 */
export function describeLoad() {
  const [, , , running] = readFileSync('/proc/loadavg', 'utf8').split(' ');
  return {
    average: os.loadavg().map((load) => Number(load.toFixed(2))),
    running: Number(running.split('/')[0]),
    autogroup: attempt(() => readFileSync('/proc/self/autogroup', 'utf8').trim().split(' nice ')[1]) ?? '0',
  };
}

export function showLoad({ average, running, autogroup }) {
  return `load ${average.join(' ')}, ${running} running, autogroup nice ${autogroup}`;
}

/**
 * How long the thread that made it stood ready and got no cpu: what others on the machine did to a
 * measurement.
 */
export class CpuWait {
  #file = openSync('/proc/thread-self/schedstat');
  #text = Buffer.alloc(96);

  /** Milliseconds since the thread began. */
  get ms() {
    return this.#read()[1];
  }

  /** How long it had one, up to date where the kernel was just asked what all threads of the process used. */
  get usedMs() {
    return this.#read()[0];
  }

  #read() {
    const length = readSync(this.#file, this.#text, 0, this.#text.length, 0);
    return this.#text
      .latin1Slice(0, length)
      .split(' ')
      .map((ns) => ns / 1e6);
  }
}

const TICK_MS = 10;

/** Milliseconds that the hypervisor gave this machine's cpus to others, since it was started. */
export function stolenMs() {
  return Number(/^cpu +(?:\d+ +){7}(\d+)/.exec(readFileSync('/proc/stat', 'latin1'))[1]) * TICK_MS;
}

/** Notes what others did to the machine meanwhile. */
export class Surroundings {
  #before = describeLoad();
  #stolen = stolenMs();

  get before() {
    return showLoad(this.#before);
  }

  end() {
    return { before: this.#before, after: describeLoad(), stolenMs: stolenMs() - this.#stolen };
  }
}

export function showSurroundings({ after, stolenMs: stolen }) {
  return `${showLoad(after)}; the host took ${stolen} ms of cpu meanwhile`;
}

/**
 * What a process used between two moments: its cpu, and how long the calling thread stood ready and got none. With
 * `ofThread` that thread's cpu alone, where others of the process do work of their own.
 */
export class Usage {
  static #wait = new CpuWait();
  #ofThread;
  #cpuMs;
  #waited = Usage.#wait.ms;
  #start = performance.now();

  constructor({ ofThread = false } = {}) {
    this.#ofThread = ofThread;
    this.#cpuMs = this.#usedMs();
  }

  end() {
    return {
      ms: performance.now() - this.#start,
      cpuMs: this.#usedMs() - this.#cpuMs,
      waitedMs: Usage.#wait.ms - this.#waited,
    };
  }

  #usedMs() {
    const { user, system } = process.cpuUsage();
    return this.#ofThread ? Usage.#wait.usedMs : (user + system) / 1000;
  }
}

function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}
