import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import { Disk, watchSyncs } from './simulator.js';

/** No timer beats while a schedule runs but those that it makes beat: these are known by how long they are. */
export const HEARTBEAT_MS = 59_999;
export const EVERY_MS = 3_511_111;
/** How long those of a log are. */
const SEGMENT_HEARTBEAT_MS = 250;
const LOOK_AFTER_MS = 60_000;
const OURS = [HEARTBEAT_MS, EVERY_MS, SEGMENT_HEARTBEAT_MS, LOOK_AFTER_MS];
const LONGEST_MS = 20_000;
/** What statfs says of ext4. */
const A_DISK = 0xef53;

export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** All of the library that a schedule needs, from `dist/` or a copy of it. */
export async function loadLibrary(url) {
  const [{ Reader, Writer, declareAbandoned, inspect, MillraceError }, { Log }, rest] = await Promise.all([
    import(`${url}index.js`),
    import(`${url}log/index.js`),
    Promise.all(
      [
        'channel/ends/writer',
        'channel/runtime/disk',
        'channel/runtime/environment',
        'channel/presence/liveness',
        'native',
        'log/files/rewrite',
      ].map((name) => import(`${url}${name}.js`)),
    ),
  ]);
  const [{ createWriter }, { disk }, { environment }, { heart }, { binding }, { rewriteSegment }] = rest;
  return {
    Log,
    Reader,
    Writer,
    declareAbandoned,
    inspect,
    MillraceError,
    createWriter,
    rewriteSegment,
    disk,
    environment,
    heart,
    native: binding(),
  };
}

/**
 * A machine from when it is switched on until the power goes: it has a boot id of its own, the library's clocks and
 * timers stand still but for what is done to them, and each sync is held back until it is let go.
 */
export class Machine {
  directory;
  disk;
  /** Syncs that have happened and not yet ended for those who wait. */
  held = [];
  /** Every file that the library opened, in this order. */
  files = [];
  timers = [];
  #library;
  #undo = [];
  /** Calls that are on their way to the disk. */
  #running = 0;
  /** Which process of it this is: what one put off until the next turn is nothing to the one that comes after its death. */
  #process = 0;

  /** `ram`: whether the library sees that there is no disk. */
  constructor(library, directory, { bootId, random, clock, ram }) {
    this.directory = directory;
    this.#library = library;
    this.disk = new Disk(directory);
    this.#replace(library.environment, {
      bootId: () => bootId,
      bootMs: () => 5_000_123,
      nowUs: () => clock.us++,
      startTicks: () => 4711,
      random: (bytes) => Buffer.from(Array.from({ length: bytes }, () => random(256))),
    });
    // Hearts beat where the schedule says so.
    this.#replace(library.heart, { start: () => undefined, stop: () => {} });
    this.#watchFiles(ram);
    this.#watchTimers();
    this.#watchDisk();
  }

  #replace(object, replacements) {
    const own = Object.keys(replacements).filter((name) => Object.hasOwn(object, name));
    const real = Object.fromEntries(own.map((name) => [name, object[name]]));
    Object.assign(object, replacements);
    this.#undo.push(() => {
      for (const name of Object.keys(replacements)) delete object[name];
      Object.assign(object, real);
    });
  }

  #watchFiles(ram) {
    const { native } = this.#library;
    const { createFile, createFileNow, takePrepared, openFile, statFile } = native;
    this.#replace(native, {
      createFile: async (...given) => this.#keep(await createFile(...given)),
      createFileNow: (...given) => this.#keep(createFileNow(...given)),
      takePrepared: (...given) => {
        const file = takePrepared(...given);
        return file && this.#keep(file);
      },
      openFile: (...given) => this.#keep(openFile(...given)),
      statFile: (file) => (ram ? statFile(file) : { ...statFile(file), fileSystem: A_DISK }),
    });
  }

  #keep(file) {
    this.files.push(file);
    return file;
  }

  #watchTimers() {
    const { setInterval, clearInterval, setImmediate } = timers;
    // Pushed first, to be done last: whoever imported them by name has them as they were, too.
    this.#undo.push(syncBuiltinESMExports);
    this.#replace(timers, {
      setInterval: (beat, ms, ...given) => {
        if (!OURS.includes(ms)) return setInterval(beat, ms, ...given);
        const timer = { beat, unref: () => timer };
        this.timers.push(timer);
        return timer;
      },
      clearInterval: (timer) => {
        this.timers = this.timers.filter((other) => other !== timer);
        clearInterval(timer);
      },
      setImmediate: (call, ...given) => {
        const process = this.#process;
        return setImmediate(() => process === this.#process && call(...given));
      },
    });
    syncBuiltinESMExports();
  }

  #watchDisk() {
    const { disk, native } = this.#library;
    const { flushFrames } = disk;
    // Filled in at once, so that what a look sees does not depend on how quick another thread is.
    this.#replace(disk, {
      flushFrames: (file, start, end, stamp, incarnation, sync) => {
        if (start < end) native.sumFrames(file, start, end, stamp, incarnation);
        return flushFrames(file, start, end, stamp, incarnation, sync);
      },
    });
    this.#undo.push(watchSyncs(disk, this.disk, () => this.#hold()));
    const counted = {};
    for (const [method, call] of Object.entries(disk)) {
      counted[method] = async (...given) => {
        this.#running++;
        try {
          return await call(...given);
        } finally {
          this.#running--;
        }
      };
    }
    this.#replace(disk, counted);
  }

  #hold() {
    this.#running--;
    return new Promise((resolve, reject) => {
      const end = (settle, value) => () => {
        this.held.splice(this.held.indexOf(hold), 1);
        this.#running++;
        settle(value);
      };
      const error = Object.assign(new Error('EIO: i/o error, fdatasync'), {
        errno: 5,
        code: 'EIO',
        syscall: 'fdatasync',
      });
      const hold = { release: end(resolve), fail: end(reject, error) };
      this.held.push(hold);
    });
  }

  /** Whether something goes on that the schedule has to wait for, or nobody knows what the next look finds. */
  get busy() {
    return this.#running > 0;
  }

  /** Waits until all that goes by itself has gone as far as it does. */
  async quiet() {
    const until = performance.now() + LONGEST_MS;
    // What has just ended may have put something off until the next turn.
    for (let still = 0; still < 3; still = this.#running > 0 ? 0 : still + 1) {
      await turn();
      if (performance.now() > until) throw new Error('A sync does not come to its end');
    }
  }

  /**
   * Waits for what goes on only when syncs are let go; `atHold` lets one go, or says false: then it is left where it
   * is. Returns what became of it: `value`, `error`, or neither where it was left.
   */
  async drive(promise, atHold = () => this.held[0].release()) {
    let settled;
    promise.then(
      (value) => {
        settled = { value };
      },
      (error) => {
        settled = { error };
      },
    );
    for (const until = performance.now() + LONGEST_MS; ; ) {
      await turn();
      if (settled !== undefined) return settled;
      if (this.held.length > 0 && this.#running === 0 && atHold() === false) return {};
      if (performance.now() > until) throw new Error('What should come to its end does not');
    }
  }

  /** As `kill -9` does to a process that has these files open: its timers stop, and what it waits for never comes. */
  kill(files, writer) {
    this.#process++;
    if (writer !== undefined) writer.heartbeat = () => {};
    this.timers = [];
    this.held = [];
    for (const file of files) this.#library.native.closeFile(file);
  }

  /** Everything that ran on it is gone; the image that was drawn lies elsewhere. */
  off() {
    this.kill(this.files);
    while (this.#undo.length > 0) this.#undo.pop()();
    this.disk.close();
  }
}
