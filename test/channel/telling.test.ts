import diagnostics from 'node:diagnostics_channel';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { WriterWatch } from '../../lib/channel/presence/liveness.js';
import {
  inspect,
  type MillraceError,
  openAll,
  Reader,
  type ReaderOptions,
  Refusal,
  verify,
  Writer,
} from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { Caught } from '../helpers/uncaught.js';

const LEVELS = {
  open: 'debug',
  close: 'debug',
  resumed: 'info',
  followed: 'info',
  alive: 'info',
  ended: 'info',
  overtaken: 'warn',
  evicted: 'warn',
  stalled: 'warn',
  dead: 'warn',
} as const;
type Happening = keyof typeof LEVELS;
const HAPPENINGS = Object.keys(LEVELS) as Happening[];

interface Told {
  role: 'writer' | 'reader';
  path: string;
  [fact: string]: unknown;
}

/** All that is told on the diagnostics channels, until the test is over. */
class Ear {
  readonly heard: [happening: Happening, facts: Told][] = [];
  #wake = () => {};

  constructor(...happenings: Happening[]) {
    for (const happening of happenings.length > 0 ? happenings : HAPPENINGS) {
      const hear = (message: unknown, name: string | symbol) => {
        expect(name).toBe(`millrace:${happening}`);
        this.heard.push([happening, message as Told]);
        this.#wake();
      };
      diagnostics.subscribe(`millrace:${happening}`, hear);
      onTestFinished(() => {
        diagnostics.unsubscribe(`millrace:${happening}`, hear);
      });
    }
  }

  of(happening: Happening): Told[] {
    return this.heard.filter(([what]) => what === happening).map(([, facts]) => facts);
  }

  /** The first of these, once it is there. */
  async next(happening: Happening): Promise<Told> {
    while (this.of(happening).length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.of(happening)[0];
  }
}

/** A logger that writes down what it is told. */
function notes() {
  const lines: [level: string, message: string, facts: Told][] = [];
  const at = (level: string) => (message: string, facts: object) =>
    void lines.push([level, message, facts as Told]);
  return {
    lines,
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  };
}

afterEach(() => vi.restoreAllMocks());

const PATIENCE = { evictAfterMs: 1 };
/** A thread beats for all of its writers: this one's heart is to stand still, and to be looked at often. */
const STANDS_STILL = { capacity: '64KiB', heartbeatMs: 5, stalledAfterMs: 20 };

async function evict(writer: Writer, reader: Reader) {
  const payload = Buffer.alloc(8000);
  while (writer.stats().evictions === 0) {
    writer.tryWrite(payload);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return failure(() => reader.read());
}

/** Nearly all that is told of, and that it went as it should. */
async function everything(options: Pick<ReaderOptions, 'logger'>) {
  const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...STANDS_STILL, ...options }));
  const { path } = writer;
  using reader = await Reader.open(path, { ...options, gate: PATIENCE, from: 'oldest', follow: true });
  expect((await evict(writer, reader)).code).toBe('ERR_EVICTED');
  using observer = await Reader.open(path, { ...options, gate: false, from: 'oldest' });
  while (writer.tryWrite(Buffer.alloc(8000)) > 0 && writer.position < 500_000);
  expect((await failure(() => observer.read())).code).toBe('ERR_OVERTAKEN');
  expect(observer.lost).toBeGreaterThan(0);
  reader.seek('latest');
  crash();
  const successor = await Writer.resume(path, options);
  successor.write('last');
  successor.close();
  expect(inspect(path)).toMatchObject({ status: 'closed' });
  expect(`${reader.read()?.data}`).toBe('last');
  const next = await Writer.create(path, { ...STANDS_STILL, replace: true, ...options });
  next.write('first');
  expect(await reader.ready()).toBe(true);
  expect(`${reader.read()?.data}`).toBe('first');
  reader.close();
  expect(next.readers()).toEqual([]);
  next.close();
}

describe('who subscribes to millrace:…', () => {
  test('open and close hears of writers and readers', async () => {
    const ear = new Ear();
    const writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const { path } = writer;
    const position = writer.write('x');
    const reader = await Reader.open(path, { name: 'audit' });
    expect(position).toBe(0);
    reader.close();
    reader.close();
    writer.seal();
    writer.close();
    expect(ear.heard).toEqual([
      ['open', { role: 'writer', path }],
      ['open', { role: 'reader', path, name: 'audit', position: 32 }],
      ['close', { role: 'reader', path, name: 'audit', position: 32 }],
      ['close', { role: 'writer', path, state: 'sealed', position: writer.position }],
    ]);
  });

  test('dead, resumed and alive hears of a writer that died, with what its successor found', async () => {
    const ear = new Ear();
    const beating = { ...STANDS_STILL, stalledAfterMs: 60_000 };
    const { writer, crash } = await mortal(() => Writer.create(newPath(), beating));
    const { path } = writer;
    writer.write('x');
    using _reader = await Reader.open(path, { name: 'audit' });
    crash();
    const who = { role: 'reader', path, name: 'audit' };
    expect(await ear.next('dead')).toEqual({ ...who, status: 'dead', before: 'alive' });
    using successor = await Writer.resume(path);
    expect(ear.of('resumed')).toEqual([{ role: 'writer', path, ...successor.recovery }]);
    expect(successor.recovery).toMatchObject({ after: 'process', records: 1 });
    expect(await ear.next('alive')).toEqual({ ...who, status: 'alive', before: 'dead' });
    expect(ear.of('open')).toHaveLength(2);
  });

  test('stalled and ended hears of a writer that stands still, and ends', async () => {
    const ear = new Ear();
    using writer = await Writer.create(newPath(), STANDS_STILL);
    using _reader = await Reader.open(writer.path);
    writer.heartbeat = () => {};
    const who = { role: 'reader', path: writer.path, name: '' };
    expect(await ear.next('stalled')).toEqual({ ...who, status: 'stalled', before: 'alive' });
    writer.seal();
    expect(await ear.next('ended')).toEqual({ ...who, status: 'sealed', before: 'stalled' });
    expect(ear.of('alive')).toEqual([]);
  });

  test.each(['throw', 'skip'] as const)("overtaken hears of each time, with onLost: '%s'", async (onLost) => {
    const ear = new Ear('overtaken');
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const { path } = writer;
    using reader = await Reader.open(path, { gate: false, onLost, name: 'slow' });
    for (let times = 1; times <= 2; times++) {
      const { lost } = reader;
      const end = writer.position;
      while (writer.position - end < 200_000) writer.write(Buffer.alloc(1000));
      let error: MillraceError | undefined;
      try {
        // First comes what it had copied before.
        while (reader.lost === lost) reader.read();
      } catch (thrown) {
        error = thrown as MillraceError;
      }
      await new Promise(process.nextTick);
      const facts = ear.heard[times - 1][1];
      expect(ear.heard).toHaveLength(times);
      expect(facts).toEqual({
        role: 'reader',
        path,
        name: 'slow',
        lost: reader.lost - lost,
        from: expect.any(Number),
        to: expect.any(Number),
      });
      expect(facts.lost).toBeGreaterThan(100);
      expect(facts.from).toBeGreaterThanOrEqual(times === 1 ? 0 : end - 65536);
      expect(facts.to).toBeGreaterThanOrEqual(writer.position - 65536);
      if (onLost === 'throw') {
        const { lost, from, to } = facts;
        expect(error).toMatchObject({ code: 'ERR_OVERTAKEN', path, lost, from, to });
      } else expect(error).toBeUndefined();
    }
  });

  test('evicted hears of it once from either side', async () => {
    const ear = new Ear('evicted');
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const { path } = writer;
    using reader = await Reader.open(path, { gate: PATIENCE, name: 'slow' });
    const { from, to } = await evict(writer, reader);
    await failure(() => reader.read());
    await new Promise(process.nextTick);
    expect(ear.heard).toEqual([
      [
        'evicted',
        {
          role: 'writer',
          path,
          reader: expect.objectContaining({ slot: 0, state: 'evicted', name: 'slow', position: from }),
        },
      ],
      ['evicted', { role: 'reader', path, name: 'slow', from, to }],
    ]);
  });

  test('followed hears where a reader went over', async () => {
    const ear = new Ear('followed');
    const first = await Writer.create(newPath(), { capacity: '64KiB' });
    const { path } = first;
    using reader = await Reader.open(path, { follow: true, name: 'on', from: 'oldest' });
    first.write('a');
    first.close();
    expect(reader.read()).toBeDefined();
    const endedAt = reader.position;
    using second = await Writer.create(path, { capacity: '64KiB', replace: true });
    second.write('b');
    await reader.ready();
    expect(ear.heard).toEqual([['followed', { role: 'reader', path, name: 'on', endedAt, records: 1 }]]);
  });

  test('hears of each of the channels that are read as one', async () => {
    const ear = new Ear('open', 'close');
    const { lines, logger } = notes();
    const directory = newDirectory();
    const paths = ['a', 'b'].map((name) => join(directory, name));
    for (const path of paths) await Writer.create(path, { capacity: '64KiB' });
    (await openAll(paths, { name: 'all', logger })).close();
    const read = ear.heard.filter(([, { role }]) => role === 'reader');
    const ofEach = (happening: Happening) =>
      read.filter(([what, { name }]) => what === happening && name === 'all').map(([, { path }]) => path);
    expect([ofEach('open').sort(), ofEach('close').sort()]).toEqual([paths, paths]);
    expect(lines.map(([level, , facts]) => [level, facts])).toEqual(
      read.map(([, facts]) => ['debug', facts]),
    );
  });
});

describe('a logger', () => {
  test('hears the same as who subscribes does, each at its level and in words', async () => {
    const { lines, logger } = notes();
    const ear = new Ear();
    await everything({ logger });
    const told = lines.map(([level, , facts]) => [level, facts]);
    expect(told).toEqual(ear.heard.map(([what, facts]) => [LEVELS[what], facts]));
    const happened = new Set(ear.heard.map(([what]) => what));
    for (const what of ['open', 'close', 'evicted', 'overtaken', 'resumed', 'followed'] as const) {
      expect(happened).toContain(what);
    }
    for (const [, message, { path }] of lines) expect(message).toContain(path);
  });

  test('is refused where it lacks a method; console has them all', async () => {
    const { logger } = notes();
    for (const wrong of [null, 5, () => {}, {}, { ...logger, warn: undefined }]) {
      const options = { logger: wrong as never };
      const path = newPath();
      for (const open of [() => Writer.create(path, options), () => Reader.open(path, options)]) {
        expect(await failure(open)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      }
      expect((await failure(() => Writer.resume(path, options))).code).toBe('ERR_INVALID_ARGUMENT');
      expect((await failure(() => openAll([], options))).code).toBe('ERR_INVALID_ARGUMENT');
    }
    const debug = vi.spyOn(console, 'debug').mockImplementation(() => {});
    using writer = await Writer.create(newPath(), { capacity: '64KiB', logger: console });
    expect(debug).toHaveBeenCalledExactlyOnceWith(`Writing ${writer.path}`, {
      role: 'writer',
      path: writer.path,
    });
  });
});

test('where nobody listens nothing is published, and nobody looks at the writer', async () => {
  const published = HAPPENINGS.map((what) => vi.spyOn(diagnostics.channel(`millrace:${what}`), 'publish'));
  const asked = vi.spyOn(WriterWatch.prototype, 'status');
  const run = async () => {
    using writer = await Writer.create(newPath(), STANDS_STILL);
    using reader = await Reader.open(writer.path, { gate: PATIENCE });
    await evict(writer, reader);
    // A beat or two: whoever looked at the writer would do so with each.
    const beats = new Set<number | undefined>();
    while (beats.size < 4) {
      beats.add(inspect(writer.path).heartbeatAgeMs);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await run();
  for (const publish of published) expect(publish).not.toHaveBeenCalled();
  expect(asked).not.toHaveBeenCalled();
  // So it would be seen.
  vi.restoreAllMocks();
  const looks = vi.spyOn(WriterWatch.prototype, 'status');
  const ear = new Ear('open', 'stalled');
  await run();
  expect(ear.of('open')).toHaveLength(2);
  expect(looks).toHaveBeenCalled();
});

describe('does not harm the writer, the reader or the channel:', () => {
  const FAULT = new RangeError('thrown by whoever listens');
  const fault = () => {
    throw FAULT;
  };

  test('a subscriber that throws', async () => {
    using caught = new Caught();
    for (const what of HAPPENINGS) {
      diagnostics.subscribe(`millrace:${what}`, fault);
      onTestFinished(() => void diagnostics.unsubscribe(`millrace:${what}`, fault));
    }
    await everything({});
    await new Promise((resolve) => setImmediate(resolve));
    expect(caught.errors.length).toBeGreaterThan(8);
    expect(new Set(caught.errors)).toEqual(new Set([FAULT]));
  });

  test('a logger that throws', async () => {
    using caught = new Caught();
    await everything({ logger: { debug: fault, info: fault, warn: fault, error: fault } });
    await new Promise((resolve) => setImmediate(resolve));
    expect(caught.errors.length).toBeGreaterThan(8);
    expect(new Set(caught.errors)).toEqual(new Set([FAULT]));
  });

  test.each(['throw', 'skip'] as const)(
    "one who closes many read as one when it drops a dead one (onDeath: '%s')",
    async (onDeath) => {
      const { writer: dead, crash } = await mortal(() => Writer.create(newPath(), { capacity: '64KiB' }));
      using alive = await Writer.create(newPath(), { capacity: '64KiB' });
      const close = (message: string) => {
        if (message === `No longer reading ${dead.path}`) many.close();
      };
      const logger = { debug: close, info() {}, warn() {}, error() {} };
      const options = { from: 'oldest', deadAfterMs: 0, onDeath, logger } as const;
      const many = await openAll([dead.path, alive.path], options);
      dead.write('last words');
      crash();
      const seen: string[] = [];
      for await (const { data } of many) seen.push(`${data}`);
      expect(seen).toEqual(['last words']);
      expect(many.closed).toBe(true);
      expect(alive.readers()).toEqual([]);
    },
  );

  // The eviction is made in the midst of a write.
  test.each(['write', 'tryWrite', 'close', 'seal'] as const)(
    'one who uses that writer to %s',
    async (how) => {
      using writer = await Writer.create(newPath(), { capacity: '64KiB' });
      using _slow = await Reader.open(writer.path, { gate: PATIENCE });
      let times = 0;
      const use = (message: unknown) => {
        if ((message as Told).role !== 'writer' || times++ > 0) return;
        if (how === 'write' || how === 'tryWrite') writer[how]('small');
        else writer[how]();
      };
      diagnostics.subscribe('millrace:evicted', use);
      onTestFinished(() => void diagnostics.unsubscribe('millrace:evicted', use));
      let written = 0;
      while (times === 0 || (writer.state === 'open' && writer.position < 120_000)) {
        const taken = writer.tryWrite(Buffer.alloc(3000));
        if (taken > 0) written++;
        else if (writer.state === 'open') expect(taken).toBe(Refusal.BACK_PRESSURE);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { state } = writer;
      expect(state).toBe(how === 'close' ? 'closed' : how === 'seal' ? 'sealed' : 'open');
      writer.close();
      expect(await verify(writer.path)).toMatchObject({ sound: true, faults: [] });
      expect(inspect(writer.path).records).toBe(written + (state === 'open' ? 1 : 0));
    },
  );
});
