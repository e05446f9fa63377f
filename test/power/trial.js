import { join } from 'node:path';
import { EVERY_MS, HEARTBEAT_MS } from './machine.js';
import { flush, operate, SIZINGS } from './operations.js';
import { PowerTrial } from './power-trial.js';
import { comeBack, finish } from './revival.js';
import { LARGEST, must, Stream } from './stream.js';

const LEVELS = {
  none: () => 'none',
  commit: () => 'commit',
  time: () => ({ everyMs: EVERY_MS }),
  bytes: (dice) => ({ everyBytes: dice.pick(4096, 8192, 20_000) }),
  both: () => ({ everyMs: EVERY_MS, everyBytes: '16KiB' }),
};

/** A channel's life through several power cuts. */
export class Trial extends PowerTrial {
  stream;
  writer;
  /** The claim that is open, if any. */
  claim;
  /** A sync has failed: nothing more is written. */
  failed = false;
  /** Its process is dead, and no other may go on. */
  dead = false;
  /** Something did not fit any more. */
  full = false;
  /** What the channel's users were told: that it is there, up to where it is on the disk, and that its end is. */
  promised = { created: false, end: 0, ended: false };
  /** Where records begin that were dropped, but lay whole on the disk when this machine was switched on. */
  ghosts = [];
  /** One that is open beside the writer, and how many records it has read. */
  reader;
  read = 0;
  #writerFiles = [];
  /** Up to where the writer last said that the disk has it. */
  #durable = 0;

  constructor(library, seed, home, counts) {
    super(library, seed, home, counts);
    this.ram = this.dice.chance(15);
  }

  get path() {
    return join(this.machine.directory, 'channel');
  }

  get user() {
    return this.writer;
  }

  async live() {
    for (let lives = await this.#create(); lives; ) {
      await this.#work();
      lives = await comeBack(this);
    }
    if (this.writer !== undefined) await finish(this);
  }

  forget() {
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

  cut() {
    if (this.writer !== undefined) this.promise(this.writer.durablePosition);
    const mode = super.cut();
    this.count(`drawn: ${mode}`);
  }

  /** What the library said that it keeps. */
  promise(position) {
    this.promised.end = Math.max(this.promised.end, position);
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
    this.lookChance = dice.pick(0, 2, 20);
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
      this.throwProblem();
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
    const { machine, library, stream } = this;
    await machine.quiet();
    await this.letSomeSyncsEnd();
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
