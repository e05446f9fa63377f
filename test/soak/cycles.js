import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { declareAbandoned, inspect, MillraceError, Reader, Writer } from '../../dist/index.js';
import { descriptors } from '../crash/fixtures/held.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { die, keepingFiles } from './keeping-files.js';

const GATES = [undefined, true, false, { evictAfterMs: 100 }];
const STARTS = ['oldest', 'latest', { record: 0 }, 0, undefined];
const MOST_FAILURES = 20;
const LOOK_EVERY = 100;
const UNMAPPED_WITHIN_MS = 10_000;

/** What this process holds of files in `directory`, those without a name too: descriptors and mappings. */
export function held(directory) {
  const maps = readFileSync('/proc/self/maps', 'latin1').split('\n');
  return {
    descriptors: descriptors().filter((target) => target.startsWith(`${directory}/`)),
    mappings: maps.filter((line) => line.includes(` ${directory}/`)),
  };
}

/** Mappings go on another thread: what is still held when that must have come to all of them. */
async function heldInTheEnd(directory) {
  for (const until = performance.now() + UNMAPPED_WITHIN_MS; ; await delay(10)) {
    const now = held(directory);
    if (now.descriptors.length + now.mappings.length === 0 || performance.now() > until) return now;
  }
}

export async function cycleHandles({ opens, seed, directory, report }) {
  const run = new Run(directory, seed);
  const { summary } = run;
  while (summary.opens < opens && summary.failures.length < MOST_FAILURES) {
    await run.cycle();
    if (summary.cycles % LOOK_EVERY === 0) await run.settle();
    report?.(summary.opens);
  }
  await run.settle();
  return summary;
}

class Run {
  summary = { cycles: 0, opens: 0, outcomes: {}, failures: [] };
  #directory;
  #random;
  #seed;
  /** What lies in the directory between two cycles. */
  #files;
  /** Descriptors of this process after the first cycle: Node opens some of its own for good. */
  #descriptors;

  constructor(directory, seed) {
    this.#directory = directory;
    this.#seed = seed;
    mkdirSync(join(directory, 'a-directory'), { recursive: true });
    writeFileSync(join(directory, 'no-channel'), Buffer.alloc(65536, 'x'));
    writeFileSync(join(directory, 'empty'), '');
    this.#files = readdirSync(directory).join();
  }

  #count(outcome) {
    this.summary.outcomes[outcome] = (this.summary.outcomes[outcome] ?? 0) + 1;
  }

  #opened(how) {
    this.summary.opens++;
    this.#count(how);
  }

  #fail(problem) {
    this.summary.failures.push({ seed: this.#seed, cycle: this.summary.cycles, problem });
  }

  #pick(list) {
    return list[this.#random(list.length)];
  }

  /** Each cycle has random numbers of its own. */
  async cycle() {
    const { cycles } = this.summary;
    this.#random = randomOf(Math.imul(this.#seed, 0x9e3779b1) ^ cycles);
    const path = join(this.#directory, `channel-${cycles}`);
    const before = held(this.#directory).descriptors.length;
    try {
      await this.#live(path);
      this.#expect('descriptors', held(this.#directory).descriptors.length, before);
    } catch (error) {
      this.#fail(error instanceof Error ? `${error.stack}` : String(error));
    }
    rmSync(path, { force: true });
    this.#expect('files', readdirSync(this.#directory).join(), this.#files);
    this.summary.cycles++;
    this.#descriptors ??= descriptors().length;
  }

  #expect(what, found, wanted) {
    if (found !== wanted) this.#fail(`${what}: ${found} instead of ${wanted}`);
  }

  async settle() {
    const left = await heldInTheEnd(this.#directory);
    this.#expect('descriptors in the end', left.descriptors.join(), '');
    this.#expect('mappings in the end', left.mappings.join('\n'), '');
    const all = descriptors();
    if (all.length > this.#descriptors) this.#fail(`${this.#descriptors} descriptors became ${all.join()}`);
  }

  /** A channel's life: with readers of all kinds, closed in any order, and much that fails on the way. */
  async #live(path) {
    const mode = this.#pick(['ring', 'linear']);
    const slots = this.#pick([0, 1, 64]);
    const options = {
      mode,
      capacity: this.#pick(['64KiB', '128KiB', '1MiB']),
      timestamps: this.#random(2) === 0,
      readers: slots,
    };
    const made = await keepingFiles(() => Writer.create(path, options));
    const writer = made.result;
    this.#opened(`created ${mode}`);
    this.#expect('status', inspect(path).status, 'alive');
    for (let n = this.#random(50); n > 0; n--) writer.write(Buffer.alloc(this.#random(300)));
    await this.#failToWrite(path, mode);

    const readers = [];
    for (let n = this.#random(5); n > 0; n--) {
      const gate = this.#pick(GATES);
      const given = { gate, from: this.#pick(STARTS), name: `r${n}` };
      if (gate === false && this.#random(2) === 0) given.register = false;
      const reader = await this.#attempt(() => Reader.open(path, given));
      if (reader !== undefined) {
        this.#opened(`opened ${mode} ${JSON.stringify(gate)}`);
        readers.push({ reader, seen: given.register !== false });
      }
    }
    await this.#failToOpen(path, writer, mode, options, readers);
    // Readers that hold nobody back go without a slot where there is none.
    const registered = readers.filter(({ seen }) => seen).length;
    this.#expect('slots', writer.readers().length, Math.min(slots, registered));
    for (const { reader } of readers) await this.#use(reader);

    const open = readers.map(({ reader }) => reader);
    const dies = this.#random(4) === 0;
    const writerFirst = this.#random(2) === 0;
    if (!writerFirst) this.#closeAll(open);
    if (!writerFirst) this.#expect('slots in the end', writer.readers().length, 0);
    if (dies) await this.#resurrect(path, made, options);
    else this.#closeWriter(writer);
    if (writerFirst) this.#closeAll(open);
    this.#expect('slots in the end', inspect(path).readers.length, 0);
    if (!dies && this.#random(4) === 0) await this.#replace(path, options, 'replaced an ended one');
  }

  async #replace(path, options, how) {
    const second = await Writer.create(path, { ...options, replace: true });
    this.#opened(how);
    this.#closeWriter(second);
  }

  #closeAll(readers) {
    while (readers.length > 0) this.#closeReader(readers.splice(this.#random(readers.length), 1)[0]);
  }

  #closeReader(reader) {
    if (this.#random(4) === 0) reader.poll(() => reader.close(), 1);
    if (this.#random(4) === 0) reader[Symbol.dispose]();
    reader.close();
    if (this.#random(4) === 0) reader.close();
  }

  #closeWriter(writer) {
    if (this.#random(4) === 0) writer.claim(10);
    if (this.#random(3) === 0) writer.seal();
    writer.close();
    if (this.#random(4) === 0) writer.close();
  }

  async #use(reader) {
    switch (this.#random(4)) {
      case 0:
        reader.poll(() => {});
        break;
      case 1:
        await this.#attempt(async () => {
          for await (const _ of reader.batches({ max: 3, timeoutMs: 1 })) break;
        });
        break;
      case 2:
        for (const _ of reader.backwards()) break;
        break;
    }
  }

  /** Its writer dies; then it is resumed, replaced or given up. */
  async #resurrect(path, made, options) {
    die(made);
    switch (this.#random(3)) {
      case 0: {
        const resumed = await Writer.resume(path);
        this.#opened('resumed');
        resumed.write('more');
        this.#closeWriter(resumed);
        break;
      }
      case 1:
        await this.#replace(path, options, 'replaced a dead one');
        break;
      default:
        declareAbandoned(path);
        this.#count('abandoned');
    }
    await this.#mustFail(() => Writer.resume(path));
  }

  /** Does what may fail; a MillraceError is an answer. */
  async #attempt(work) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#count(error.code);
      return undefined;
    }
  }

  async #mustFail(work) {
    let failed = true;
    await this.#attempt(async () => {
      const made = await work();
      failed = false;
      made?.close();
    });
    if (!failed) throw new Error(`It did not fail: ${work}`);
  }

  async #failToWrite(path, mode) {
    const inside = (name) => join(this.#directory, name);
    const tries = [
      () => Writer.create(path),
      () => Writer.create(path, { replace: true }),
      () => Writer.resume(path),
      () => declareAbandoned(path),
      () => Writer.resume(inside('nothing')),
      () => Writer.resume(inside('no-channel')),
      () => Writer.create(inside('no-channel'), { capacity: '64KiB', replace: true }),
      () => Writer.create(inside('empty'), { capacity: '64KiB', replace: true }),
      () => Writer.create(inside('a-directory'), { capacity: '64KiB', replace: true }),
      () => Writer.create(inside('x'.repeat(300)), { capacity: '64KiB' }),
      () => Writer.create(join(inside('nothing'), 'channel'), { capacity: '64KiB' }),
      () => Writer.create(inside('never'), { mode, capacity: 1 }),
      () => Writer.create(inside('never'), { mode, maxRecord: '1GiB' }),
      () => Writer.create(inside('never'), { mode, metadata: { long: 'x'.repeat(5000) } }),
    ];
    for (let n = 2; n > 0; n--) await this.#mustFail(this.#pick(tries));
    if (existsSync(inside('never'))) throw new Error('What was not created is there');
  }

  async #failToOpen(path, writer, mode, options, readers) {
    const inside = (name) => join(this.#directory, name);
    const tries = [
      () => Reader.open(inside('nothing')),
      () => Reader.open(inside('nothing'), { wait: true, timeoutMs: 1 }),
      () => Reader.open(inside('nothing'), { wait: true, signal: AbortSignal.timeout(1) }),
      () => Reader.open(inside('no-channel')),
      () => Reader.open(inside('empty')),
      () => Reader.open(inside('a-directory')),
      () => Reader.open(path, { signal: AbortSignal.abort() }),
      () => Reader.open(path, { from: writer.position + 16 }),
      () => Reader.open(path, { from: { record: 1e6 }, gate: this.#pick(GATES) }),
      () => Reader.open(path, { from: 'nowhere' }),
    ];
    if (mode === 'ring') {
      tries.push(() => Reader.open(path, { gate: true, register: false }));
      const full = readers.filter(({ seen }) => seen).length >= options.readers;
      if (full) tries.push(() => Reader.open(path, { gate: this.#pick([undefined, true]) }));
    }
    if (!options.timestamps) tries.push(() => Reader.open(path, { from: { time: Date.now() } }));
    for (let n = 2; n > 0; n--) await this.#mustFail(this.#pick(tries));
    await this.#abortWhileOpening(path);
  }

  /** Aborted once the file is mapped: before or after it takes a slot. */
  async #abortWhileOpening(path) {
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    const reader = await this.#attempt(() => Reader.open(path, { gate: false, signal: controller.signal }));
    if (reader === undefined) return;
    this.#opened('opened before it was aborted');
    reader.close();
  }
}
