import { operate } from './log-operations.js';
import { comeBack, finish } from './log-revival.js';
import { EVERY_MS } from './machine.js';
import { MOST_LOSSES, PowerTrial } from './power-trial.js';
import { must, noise } from './stream.js';

/** A log's life through several power cuts, and deaths of its processes between them. */
export class LogTrial extends PowerTrial {
  log;
  /** One that is read from all along, and how many records it has given. */
  tail;
  read = 0;
  /** The offset of the first record: where nothing at all was synced, the beginning may be lost, too. */
  earliest = 0;
  /** Where it was said that it would go on. */
  foretold;
  /** All values that were appended, in their order: what is found after a power cut is the beginning of that. */
  values = [];
  /** So many of them are said to be on the disk. */
  promised = 0;
  options;
  sizing;
  #made = 0;

  constructor(library, seed, home, counts) {
    super(library, seed, home, counts);
    const { dice } = this;
    const sync = dice.pick('none', 'commit', 'commit', { everyMs: EVERY_MS });
    this.options = { sync, segment: dice.pick(16384, 16384, 20480, 32768, 65536) };
    this.sizing = dice.pick('small', 'mixed', 'mixed', 'large');
    this.lookChance = dice.pick(0, 2, 20);
    this.note('options', JSON.stringify(this.options), this.sizing);
  }

  get user() {
    return this.log;
  }

  async live() {
    for (let lives = await comeBack(this); lives; lives = await comeBack(this)) {
      await this.#work();
      if (this.losses >= MOST_LOSSES) break;
    }
    if (this.left !== undefined) await comeBack(this);
    if (this.log !== undefined) await finish(this);
  }

  promise(count) {
    this.promised = Math.max(this.promised, count);
  }

  /** What a log says of its disk is an acknowledgement, too. */
  noteDurable() {
    if (this.log !== undefined && this.left === undefined) this.promise(this.log.durable);
  }

  /** A value that nothing else ever had. */
  value() {
    const { dice } = this;
    const length = {
      small: () => 8 + dice.below(100),
      mixed: () =>
        dice.weighted([
          [8 + dice.below(300), 60],
          [8 + dice.below(3000), 30],
          [4096 - 32, 10],
        ]),
      large: () => 1000 + dice.below(3000),
    }[this.sizing]();
    const value = Buffer.from(noise.subarray(0, length));
    value.writeDoubleLE(++this.#made, 0);
    return value;
  }

  /** Operations, until the power goes. */
  async #work() {
    const { dice, machine } = this;
    const count = dice.pick(dice.below(12), 12 + dice.below(60), 60 + dice.below(120));
    const patience = dice.pick(30, 60, 95);
    const dieAt = dice.chance(30) ? dice.below(count + 1) : undefined;
    this.unsynced = dice.chance(25);
    for (let n = 0; n <= count && this.left === undefined; n++) {
      // Within the last one, where it has steps.
      if (n === count) this.stepsLeft = 1 + dice.below(10);
      if (n === dieAt) await this.#dieAndGoOn();
      else await operate(this);
      if (this.left === undefined) {
        this.note(
          `  ${this.values.length} records, ${this.log?.durable} durable, ${machine.held.length} held`,
        );
      }
      if (machine.busy || dice.chance(patience)) await machine.quiet();
      this.throwProblem();
      this.noteDurable();
    }
    this.stepsLeft = undefined;
    if (this.left !== undefined) return;
    // What is on its way to the disk has its checksums: more of it may be there, and behind what is missing.
    if (dice.chance(50)) this.ask(this.log.flush(), () => {});
    await machine.quiet();
    if (this.left === undefined) this.cut();
  }

  /** Its process dies and another one goes on: nothing is lost by that. */
  async #dieAndGoOn() {
    const { machine } = this;
    await this.letSomeSyncsEnd();
    if (this.left !== undefined) return;
    this.noteDurable();
    this.note('process dies');
    this.count('process deaths');
    this.kill();
    await machine.quiet();
    await this.open();
    if (this.left !== undefined) return;
    const { next, recovery } = this.log;
    must(next === this.values.length, () => `${next} of ${this.values.length} records outlived a process`);
    must(recovery.dropped === 0, () => `${recovery.dropped} bytes are dropped after a process`);
    must(recovery.setAside.length === 0, () => JSON.stringify(recovery.setAside));
  }

  kill() {
    this.machine.kill(this.machine.files);
    this.forget();
  }

  forget() {
    this.log = this.tail = undefined;
    this.read = this.earliest;
  }

  /** Opens it; the power may go within, or its process die and another one try. Returns how often it did. */
  async open({ powerMayGo = false } = {}) {
    const { dice, machine, library } = this;
    for (let deaths = 0; ; deaths++) {
      if (powerMayGo && dice.chance(30)) this.stepsLeft = 1 + dice.below(12);
      const [powerGoes, dies] = [powerMayGo && dice.chance(15), deaths < 3 && dice.chance(15)];
      const opening = library.Log.open(machine.directory, this.options);
      const { value, error } = await machine.drive(opening, () => !dies && this.passHold(powerGoes));
      this.stepsLeft = undefined;
      if (this.left !== undefined) {
        this.count('losses while opening');
        return deaths;
      }
      if (error !== undefined) throw error;
      if (value !== undefined) {
        this.log = value;
        return deaths;
      }
      this.note('process dies while opening');
      this.count('process deaths while opening');
      machine.kill(machine.files);
      await machine.quiet();
    }
  }
}
