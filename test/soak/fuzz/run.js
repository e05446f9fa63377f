import { rmSync } from 'node:fs';
import { createWriter, Writer } from '../../../dist/channel/ends/writer.js';
import { openMapped } from '../../../dist/channel/file/mapped.js';
import { loadPosition } from '../../../dist/channel/file/words.js';
import * as L from '../../../dist/channel/layout.js';
import { environment } from '../../../dist/channel/runtime/environment.js';
import { binding } from '../../../dist/native.js';
import { die, keepingFiles } from '../keeping-files.js';
import { useClaim } from './claims.js';
import { Dice } from './dice.js';
import { Model, must } from './model.js';
import { openReader, READING, readToEnd } from './reading.js';
import { crash, send, waitForBatch, waitUntilReady } from './waiting.js';
import { writeBatch, writeMany } from './writing.js';

const MOST_FAILURES = 5;
const LAST_OPERATIONS = 40;
const MOST_READERS = 4;
/** With how often each comes up. */
const WRITING = [
  [writeMany, 345],
  [writeBatch, 100],
  [useClaim, 100],
  [waitUntilReady, 30],
  [waitForBatch, 5],
  [send, 20],
  [crash, 5],
];
/** Of all operations, in percent. */
const WRITES = 60;

export async function fuzzChannels({ operations, seed, newPath, report }) {
  const summary = { channels: 0, operations: 0, failures: [] };
  const counts = {};
  // A channel is never cut short, so that its seed alone says all that is done to it.
  while (summary.operations < operations && summary.failures.length < MOST_FAILURES) {
    const trial = new Trial(seed + summary.channels, newPath(), counts);
    const problem = await trial.run();
    if (problem !== undefined) summary.failures.push(problem);
    summary.channels++;
    summary.operations += trial.done;
    report?.(summary.operations);
  }
  return { ...summary, counts };
}

/** The time that the library sees: it stands still but for what an operation lets pass, so that a seed decides it, too. */
class Clock {
  ms = 10_000;
  us = 1_700_000_000_000_000;

  async whileItRuns(work) {
    const { now } = performance;
    const { nowUs } = environment;
    performance.now = () => this.ms;
    environment.nowUs = () => this.us;
    try {
      return await work();
    } finally {
      performance.now = now;
      environment.nowUs = nowUs;
    }
  }
}

/** What is published for everyone to see. */
class Watch {
  #channel;

  constructor(path) {
    this.#channel = openMapped(path, 'read');
  }

  #position(offset) {
    return loadPosition(this.#channel.words, offset >> 2);
  }

  get limit() {
    return this.#position(L.LIMIT_OFFSET);
  }

  get tail() {
    return this.#position(L.TAIL_OFFSET);
  }

  get final() {
    return this.#position(L.FINAL_POSITION_OFFSET);
  }

  close() {
    binding().closeFile(this.#channel.file);
  }
}

/** One channel's life, beside that of its model. */
class Trial {
  /** Operations so far. */
  done = 0;
  clock = new Clock();
  readers = [];
  /** Readers so far. */
  opened = 0;
  /** The claim that is open, if any. */
  claim;
  #notes = [];
  #counts;

  constructor(seed, path, counts) {
    this.seed = seed;
    this.path = path;
    this.dice = new Dice(seed);
    this.#counts = counts;
  }

  get writer() {
    return this.life.result;
  }

  note(...words) {
    this.#notes.push(words);
    if (this.#notes.length > LAST_OPERATIONS) this.#notes.shift();
  }

  count = (what, times = 1) => {
    this.#counts[what] = (this.#counts[what] ?? 0) + times;
  };

  forget(known) {
    this.readers.splice(this.readers.indexOf(known), 1);
  }

  /** What went wrong, if anything did. */
  async run() {
    try {
      await this.clock.whileItRuns(() => this.#live());
      return undefined;
    } catch (error) {
      const problem = error instanceof Error ? `${error.stack}` : String(error);
      return { seed: this.seed, problem, operations: this.#notes.map((words) => words.join(' ')) };
    } finally {
      this.#letGo();
    }
  }

  async #live() {
    await this.#begin();
    const count = 200 + this.dice.below(1500);
    const idle = this.dice.below(70);
    while (this.done < count) {
      await this.#operate(idle);
      this.done++;
    }
    await this.#end();
  }

  async #begin() {
    const { dice, path } = this;
    const mode = dice.chance(80) ? 'ring' : 'linear';
    const capacity = mode === 'ring' ? dice.pick(65536, 65536, 131072) : dice.pick(16384, 20480, 65536);
    const timestamps = dice.chance(40);
    // Streams that go over from one high word to the next, in their positions and in their numbers.
    const near = 16 * dice.below(20_000);
    const base = dice.pick(0, 0, near, 2 ** 35 - near, 2 ** 36 - near, 3 * 2 ** 36 - near);
    const baseRecord = dice.pick(0, 7, 2 ** 31 - dice.below(500), 2 ** 32 - dice.below(500));
    this.note(mode, capacity, timestamps ? 'with times' : '', 'from position', base, 'record', baseRecord);
    this.model = new Model({ mode, capacity, timestamps, base, baseRecord });
    // Its heart beats only where an operation says so.
    const options = { mode, capacity, timestamps, heartbeatMs: 60_000, stalledAfterMs: 200_000 };
    const begin = { position: base, record: baseRecord };
    this.life = await keepingFiles(() => createWriter(path, options, begin));
    this.watch = new Watch(path);
  }

  async #operate(idle) {
    const { dice, clock, readers } = this;
    const few = readers.length === 0 && dice.chance(5);
    if (few || (readers.length < MOST_READERS && dice.chance(0.5))) await openReader(this);
    clock.us += dice.below(3000) - 500;
    if (dice.chance(5)) clock.ms += 11;
    if (dice.chance(4)) {
      this.writer.heartbeat();
      this.note('heartbeat');
    }
    if (dice.chance(WRITES)) await dice.weighted(WRITING)(this);
    else if (readers.length > 0) this.#read(dice.pick(...readers), idle);
  }

  /** Readers are slow at times, or sleep: so they are overtaken, evicted or in the way. */
  #read(known, idle) {
    const { dice, clock } = this;
    if (dice.chance(3)) known.sleepsUntil = this.done + dice.below(300);
    if (this.done < known.sleepsUntil) {
      if (known.kind === 'evictable') clock.ms += 4;
      return;
    }
    if (known.kind !== 'gating' && dice.chance(idle)) return;
    dice.weighted(READING)(this, known);
  }

  async #end() {
    const as = this.dice.pick('close', 'seal', 'crash', 'none');
    this.note('end', as);
    const isEnd = as === 'close' || as === 'seal';
    if (isEnd) this.writer[as]();
    else if (as === 'crash') die(this.life);
    this.claim = undefined;
    for (const known of this.readers) readToEnd(this, known, isEnd);
    if (isEnd) await this.#checkEnd();
  }

  async #checkEnd() {
    this.count('ended');
    const { final } = this.watch;
    must(final === this.writer.position, () => `Ends at ${final} instead of ${this.writer.position}`);
    const resumed = await Writer.resume(this.path).catch(({ code }) => code);
    must(resumed === 'ERR_ENDED', () => `Resumed after its end: ${resumed}`);
  }

  /** After a failure, too, whatever state they are in: closing then fails for reasons of its own. */
  #letGo() {
    const handles = [...this.readers.map(({ reader }) => reader), this.watch, this.life?.result];
    for (const handle of handles) {
      try {
        handle?.close();
      } catch {}
    }
    rmSync(this.path, { force: true });
  }
}
