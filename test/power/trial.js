import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Dice } from '../soak/fuzz/dice.js';
import { EVERY_MS, HEARTBEAT_MS, Machine } from './machine.js';
import { flush, operate, SIZINGS } from './operations.js';
import { comeBack, finish } from './revival.js';
import { LARGEST, must, Stream } from './stream.js';

const LAST_NOTES = 80;

const LEVELS = {
  none: () => 'none',
  commit: () => 'commit',
  time: () => ({ everyMs: EVERY_MS }),
  bytes: (dice) => ({ everyBytes: dice.pick(4096, 8192, 20_000) }),
  both: () => ({ everyMs: EVERY_MS, everyBytes: '16KiB' }),
};

/** A channel's life through several power cuts. */
export class Trial {
  library;
  dice;
  stream;
  machine;
  writer;
  /** The claim that is open, if any. */
  claim;
  /** A sync has failed: nothing more is written. */
  failed = false;
  /** Its process is dead, and no other may go on. */
  dead = false;
  /** Something did not fit any more. */
  full = false;
  /** No sync comes to its end before the power goes again. */
  unsynced = false;
  /** What the channel's users were told: that it is there, up to where it is on the disk, and that its end is. */
  promised = { created: false, end: 0, ended: false };
  /** Where records begin that were dropped, but lay whole on the disk when this machine was switched on. */
  ghosts = [];
  /** What the power cut left that has just come. */
  left;
  clock = { us: 1_700_000_000_000_000 };
  /** Whether the library sees that its files are in RAM, where it checks less. */
  ram;
  /** One that is open beside the writer, and how many records it has read. */
  reader;
  read = 0;
  /** The power goes at the so-manyth step from now on. */
  stepsLeft;
  /** Power cuts so far. */
  losses = 0;
  #home;
  #seed;
  #counts;
  #notes = [];
  #problem;
  #writerFiles = [];
  /** Up to where the writer last said that the disk has it. */
  #durable = 0;
  #boots = 0;
  #lookChance;

  constructor(library, seed, home, counts) {
    this.library = library;
    this.#seed = seed;
    this.#home = home;
    this.#counts = counts;
    this.dice = new Dice(seed);
    this.ram = this.dice.chance(15);
  }

  count(what, times = 1) {
    this.#counts[what] = (this.#counts[what] ?? 0) + times;
  }

  note(...words) {
    this.#notes.push(words.join(' '));
    if (this.#notes.length > LAST_NOTES) this.#notes.shift();
  }

  get path() {
    return join(this.machine.directory, 'channel');
  }

  /** What went wrong, if anything did. */
  async run() {
    // In the shipped files steps are comments; in a copy of them that is made for it, they are calls.
    globalThis.__millraceStep = () => this.#step();
    try {
      this.switchOn('boot-0');
      for (let lives = await this.#create(); lives; ) {
        await this.#work();
        lives = await comeBack(this);
      }
      if (this.writer !== undefined) await finish(this);
      return undefined;
    } catch (error) {
      return { seed: this.#seed, problem: explained(error), operations: this.#notes };
    } finally {
      globalThis.__millraceStep = undefined;
      this.machine.off();
    }
  }

  #step() {
    if (this.left !== undefined) return;
    if (this.dice.chance(this.#lookChance)) this.machine.disk.look();
    if (this.stepsLeft !== undefined && --this.stepsLeft === 0) this.cut();
  }

  switchOn(name) {
    const directory = join(this.#home, name);
    mkdirSync(directory, { recursive: true });
    const bootId = Buffer.alloc(16, ++this.#boots);
    const random = (below) => this.dice.below(below);
    const { clock, ram } = this;
    this.machine = new Machine(this.library, directory, { bootId, random, clock, ram });
    this.begin(undefined, []);
    this.reader = undefined;
    this.read = 0;
  }

  /** A writer's life begins, or there is none. */
  begin(writer, files) {
    this.writer = writer;
    this.#writerFiles = files;
    this.#durable = 0;
    this.claim = undefined;
    this.failed = this.full = this.dead = false;
  }

  /** The power goes: what is left of everything lies in another directory. Nothing that comes after this counts. */
  cut() {
    const directory = `boot-${this.#boots}`;
    if (this.writer !== undefined) this.promise(this.writer.durablePosition);
    const mode = this.machine.disk.image((below) => this.dice.below(below), join(this.#home, directory));
    this.left = { directory, promised: { ...this.promised } };
    this.losses++;
    this.count('losses');
    this.count(`drawn: ${mode}`);
    this.note('POWER CUT,', mode, JSON.stringify(this.promised));
  }

  /** What the library said that it keeps. */
  promise(position) {
    this.promised.end = Math.max(this.promised.end, position);
  }

  /** Hears of what becomes of a promise, as long as there is somebody to hear of it. */
  ask(promise, hear) {
    const { writer } = this;
    const listen = (outcome) => {
      if (this.writer !== writer || this.left !== undefined) return;
      try {
        hear(outcome);
      } catch (error) {
        this.#problem ??= error;
      }
    };
    promise.then(
      (value) => listen({ value }),
      (error) => listen({ error }),
    );
  }

  /** What was asked of a writer fails where its disk did, or where it was closed before anybody came to it. */
  mayFail(error) {
    const expected =
      (this.failed && error.code === 'ERR_SYNC_FAILED') ||
      (this.writer.state !== 'open' && error.code === 'ERR_CLOSED_HANDLE');
    if (!expected) throw error;
    this.count(error.code);
  }

  async #create() {
    const { dice, clock } = this;
    const levelName = dice.pick(...Object.keys(LEVELS));
    const sync = LEVELS[levelName](dice);
    const capacity = dice.pick(16384, 16384, 16384, 20480, 32768, 65536, 65536, 262144, 1048576);
    const near = 16 * dice.below(2000);
    const base = { position: dice.pick(0, 0, near, 2 ** 36 - near), record: dice.pick(0, 7, 2 ** 32 - 50) };
    this.level = levelName;
    this.base = base.position;
    this.timestamps = dice.chance(30);
    this.header = this.timestamps ? 32 : 16;
    this.maxRecord = Math.min(LARGEST, capacity / 4);
    this.sizing = dice.pick(...SIZINGS);
    this.failing = dice.pick(0, 0, 0, 5);
    this.#lookChance = dice.pick(0, 2, 20);
    this.promised.end = base.position;
    this.stream = new Stream({ timestamps: this.timestamps, base });
    clock.us += dice.below(1000);
    const options = {
      mode: 'linear',
      capacity,
      sync,
      checksum: 'crc32c',
      timestamps: this.timestamps,
      readers: dice.pick(0, 4, 64),
      heartbeatMs: HEARTBEAT_MS,
    };
    this.note('create', JSON.stringify({ ...options, ...base, sizing: this.sizing }));
    const before = this.machine.files.length;
    if (dice.chance(10)) this.stepsLeft = 1 + dice.below(3);
    const made = this.library.createWriter(this.path, options, base);
    const { value, error } = await this.machine.drive(made, () => this.passHold(dice.chance(10)));
    if (this.left === undefined) {
      if (error !== undefined) throw error;
      this.begin(value, this.machine.files.slice(before));
      this.promised.created = this.level !== 'none';
      if (dice.chance(40)) await this.#openReader();
      return true;
    }
    return comeBack(this);
  }

  /** Lets one sync end that a process waits for; or the power goes, and false is said. */
  passHold(powerGoes) {
    if (this.left === undefined && powerGoes) this.cut();
    if (this.left !== undefined) return false;
    if (this.dice.chance(50)) this.machine.disk.look();
    this.machine.held[0].release();
    return true;
  }

  /** Operations, until the power goes. */
  async #work() {
    const { dice, machine } = this;
    const count = dice.pick(dice.below(12), 12 + dice.below(60), 60 + dice.below(120));
    const endAt = dice.chance(15) ? dice.below(count + 1) : undefined;
    const dieAt = dice.chance(25) ? dice.below(count + 1) : undefined;
    const patience = dice.pick(30, 60, 95);
    this.unsynced = dice.chance(25);
    for (let n = 0; n <= count && this.left === undefined; n++) {
      // Within the last one, where it has steps.
      if (n === count || (this.full && dice.chance(10))) n = count;
      if (n === count) this.stepsLeft = 1 + dice.below(10);
      if (n === endAt) this.#end();
      else if (n === dieAt) await this.#dieAndResume();
      else await operate(this);
      this.note(
        `  at ${this.writer.position}, durable ${this.writer.durablePosition}, ${machine.held.length} held`,
      );
      if (machine.busy || dice.chance(patience)) await machine.quiet();
      if (this.#problem !== undefined) throw this.#problem;
      if (this.left === undefined) this.#noteDurable();
    }
    this.stepsLeft = undefined;
    if (this.left !== undefined) return;
    // What is on its way to the disk has its checksums: more of it may be there, and behind what is missing.
    if (this.writer.state === 'open' && !this.failed && dice.chance(50)) flush(this);
    await machine.quiet();
    this.cut();
  }

  /** What a writer says of its disk is an acknowledgement, too, and it never takes one back. */
  #noteDurable() {
    const { durablePosition } = this.writer;
    must(
      durablePosition >= this.#durable,
      () => `${this.#durable} was on the disk, and now ${durablePosition} is`,
    );
    this.#durable = durablePosition;
    this.promise(durablePosition);
  }

  #end() {
    const { writer, dice, stream } = this;
    if (writer.state !== 'open' || this.dead) return;
    stream.ending = true;
    this.claim = undefined;
    const how = dice.pick('close', 'seal', 'dispose', 'dispose');
    this.note(how);
    this.count('ended');
    if (how !== 'dispose') {
      writer[how]();
      return;
    }
    this.ask(writer[Symbol.asyncDispose](), ({ error }) => {
      if (error !== undefined) return this.mayFail(error);
      if (this.level === 'none') return;
      this.promise(writer.position);
      this.promised.ended = true;
      this.count('acknowledged ends');
    });
  }

  /** Its process dies and another one goes on: nothing is lost by that. */
  async #dieAndResume() {
    const { machine, library, dice, stream } = this;
    await machine.quiet();
    while (machine.held.length > 0 && dice.chance(50)) {
      machine.held[0].release();
      await machine.quiet();
    }
    if (this.left !== undefined) return;
    const old = this.writer;
    this.note('process dies');
    this.count('process deaths');
    machine.kill(this.#writerFiles, old);
    if (stream.ending) return;
    const { failed } = this;
    this.begin(undefined, []);
    await machine.quiet();
    const before = machine.files.length;
    const { value, error } = await machine.drive(library.Writer.resume(this.path), () =>
      this.passHold(false),
    );
    if (failed && this.left === undefined) {
      must(error?.code === 'ERR_SYNC_FAILED', 'A failed sync is forgotten with its process');
      this.begin(old, []);
      this.failed = this.dead = true;
      return;
    }
    if (error !== undefined && this.left === undefined) throw error;
    // Where the power has gone meanwhile, it is a writer of no consequence.
    this.begin(value ?? old, machine.files.slice(before));
    if (this.left !== undefined) return;
    const { after, records, dropped, position } = value.recovery;
    must(after === 'process' && records === stream.count && dropped === 0, () => {
      return `After a process there are ${records} of ${stream.count} records, ${dropped} bytes dropped`;
    });
    must(
      position >= (stream.end ?? 0) && position === value.position,
      () => `It goes on at ${value.position}`,
    );
  }

  async #openReader() {
    const { dice, library } = this;
    this.reader = await library.Reader.open(this.path, { verify: dice.pick(undefined, true) });
    this.read = 0;
  }

  /** A reader that is open all along sees all that was committed, and nothing else. */
  readOn() {
    const { stream } = this;
    if (this.reader === undefined) return;
    for (const record of this.reader.readBatch(100_000)) stream.check(this.read++, record);
    must(this.read === stream.count, () => `A reader has read ${this.read} of ${stream.count} records`);
  }
}

function explained(error) {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? `${error.stack}` : `${error.stack}\n  ${explained(error.cause)}`;
}
