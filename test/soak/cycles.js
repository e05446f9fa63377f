import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { declareAbandoned, inspect, MillraceError, Reader, Writer } from '../../dist/index.js';
import { binding } from '../../dist/native.js';
import { randomOf } from './random.js';

const GATES = [undefined, true, false, { evictAfterMs: 100 }];
const STARTS = ['oldest', 'latest', { record: 0 }, 0, undefined];
const MOST_FAILURES = 20;
const LOOK_EVERY = 100;
const UNMAPPED_WITHIN_MS = 10_000;

/** What this process holds of files in `directory`, those without a name too: descriptors and mappings. */
export function held(directory) {
  const descriptors = [];
  for (const descriptor of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${descriptor}`);
      if (target.startsWith(`${directory}/`)) descriptors.push(`${descriptor} ${target}`);
    } catch {
      // The one that the list itself was read by.
    }
  }
  const maps = readFileSync('/proc/self/maps', 'latin1').split('\n');
  return { descriptors, mappings: maps.filter((line) => line.includes(` ${directory}/`)) };
}

/** Mappings go on another thread: what is still held when that must have come to all of them. */
export async function heldInTheEnd(directory, withinMs = UNMAPPED_WITHIN_MS, meanwhile = () => {}) {
  for (const until = performance.now() + withinMs; ; await delay(10)) {
    meanwhile();
    const now = held(directory);
    if (now.descriptors.length + now.mappings.length === 0 || performance.now() > until) return now;
  }
}

export async function cycleHandles({ count, seed, directory, report }) {
  const run = new Run(directory, seed);
  for (let cycle = 0; cycle < count && run.summary.failures.length < MOST_FAILURES; cycle++) {
    await run.cycle(cycle);
    if (cycle % LOOK_EVERY === LOOK_EVERY - 1) {
      await run.settle(cycle);
      report?.(cycle + 1);
    }
  }
  await run.settle(count);
  return run.summary;
}

/** The files that `make` opens are told to `keep`. */
async function keepingFiles(make) {
  const native = binding();
  const { createFile, openFile } = native;
  const files = [];
  native.createFile = async (...given) => {
    const file = await createFile(...given);
    files.push(file);
    return file;
  };
  native.openFile = (...given) => {
    const file = openFile(...given);
    files.push(file);
    return file;
  };
  try {
    return { made: await make(), files };
  } finally {
    Object.assign(native, { createFile, openFile });
  }
}

class Run {
  summary = { cycles: 0, outcomes: {}, failures: [] };
  #directory;
  #random;
  #seed;

  constructor(directory, seed) {
    this.#directory = directory;
    this.#seed = seed;
    mkdirSync(join(directory, 'a-directory'), { recursive: true });
    writeFileSync(join(directory, 'no-channel'), Buffer.alloc(65536, 'x'));
    writeFileSync(join(directory, 'empty'), '');
  }

  #count(outcome) {
    this.summary.outcomes[outcome] = (this.summary.outcomes[outcome] ?? 0) + 1;
  }

  #fail(cycle, problem) {
    this.summary.failures.push({ seed: this.#seed, cycle, problem });
  }

  #pick(list) {
    return list[this.#random(list.length)];
  }

  /** Each cycle has random numbers of its own. */
  async cycle(cycle) {
    this.#random = randomOf(Math.imul(this.#seed, 0x9e3779b1) ^ cycle);
    const path = join(this.#directory, `channel-${cycle}`);
    const before = held(this.#directory).descriptors.length;
    try {
      await this.#live(path, cycle);
      this.#expect(cycle, 'descriptors', held(this.#directory).descriptors.length, before);
      const left = readdirSync(this.#directory).filter((name) => name.includes(`channel-${cycle}`));
      this.#expect(cycle, 'files', left.join(), `channel-${cycle}`);
    } catch (error) {
      this.#fail(cycle, error instanceof Error ? `${error.stack}` : String(error));
    }
    rmSync(path, { force: true });
    this.summary.cycles++;
  }

  #expect(cycle, what, found, wanted) {
    if (found !== wanted) this.#fail(cycle, `${what}: ${found} instead of ${wanted}`);
  }

  async settle(cycle) {
    const { descriptors, mappings } = await heldInTheEnd(this.#directory);
    this.#expect(cycle, 'descriptors in the end', descriptors.join(), '');
    this.#expect(cycle, 'mappings in the end', mappings.join('\n'), '');
  }

  /** A channel's life: with readers of all kinds, closed in any order, and much that fails on the way. */
  async #live(path, cycle) {
    const mode = this.#pick(['ring', 'linear']);
    const slots = this.#pick([0, 1, 64]);
    const options = {
      mode,
      capacity: this.#pick(['64KiB', '128KiB', '1MiB']),
      timestamps: this.#random(2) === 0,
      readers: slots,
    };
    const { made: writer, files } = await keepingFiles(() => Writer.create(path, options));
    this.#count(`created ${mode}`);
    for (let n = this.#random(50); n > 0; n--) writer.write(Buffer.alloc(this.#random(300)));
    await this.#failToWrite(path, mode);

    const readers = [];
    for (let n = this.#random(5); n > 0; n--) {
      const gate = this.#pick(GATES);
      const given = { gate, from: this.#pick(STARTS), name: `r${n}` };
      if (gate === false && this.#random(2) === 0) given.register = false;
      const reader = await this.#attempt(() => Reader.open(path, given));
      if (reader !== undefined) {
        this.#count(`opened ${mode} ${JSON.stringify(gate)}`);
        readers.push({ reader, seen: given.register !== false });
      }
    }
    await this.#failToOpen(path, writer, mode, options, readers);
    // Readers that hold nobody back go without a slot where there is none.
    const registered = readers.filter(({ seen }) => seen).length;
    this.#expect(cycle, 'slots', writer.readers().length, Math.min(slots, registered));
    for (const { reader } of readers) await this.#use(reader);

    const closers = readers.map(
      ({ reader }) =>
        () =>
          this.#closeReader(reader),
    );
    const dies = this.#random(4) === 0;
    const writerFirst = this.#random(2) === 0;
    if (!writerFirst) this.#closeAll(closers);
    if (!writerFirst) this.#expect(cycle, 'slots in the end', writer.readers().length, 0);
    if (dies) await this.#resurrect(path, writer, files, options);
    else this.#closeWriter(writer);
    if (writerFirst) this.#closeAll(closers);
    this.#expect(cycle, 'slots in the end', inspect(path).readers.length, 0);
  }

  #closeAll(closers) {
    while (closers.length > 0) closers.splice(this.#random(closers.length), 1)[0]();
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
  async #resurrect(path, writer, files, options) {
    // Its timer beats on for as long as this process lives; a dead writer's heart stands still.
    writer.heartbeat = () => {};
    for (const file of files) binding().closeFile(file);
    switch (this.#random(3)) {
      case 0: {
        const resumed = await Writer.resume(path);
        this.#count('resumed');
        resumed.write('more');
        this.#closeWriter(resumed);
        break;
      }
      case 1: {
        const second = await Writer.create(path, { ...options, replace: true });
        this.#count('replaced');
        this.#closeWriter(second);
        break;
      }
      default:
        declareAbandoned(path);
        this.#count('abandoned');
    }
    await this.#attempt(() => Writer.resume(path));
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
    const made = await this.#attempt(work);
    if (made === undefined) return;
    made.close();
    throw new Error(`It did not fail: ${work}`);
  }

  async #failToWrite(path, mode) {
    const inside = (name) => join(this.#directory, name);
    const tries = [
      () => Writer.create(path),
      () => Writer.create(path, { replace: true }),
      () => Writer.resume(path),
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
    reader?.close();
  }
}
