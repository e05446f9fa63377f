import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { shipped } from '../crash/fixtures/stepped.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { collect } from './collect.js';

vi.setConfig({ testTimeout: 120_000 });

const disk = join(newDirectory(), 'disk');
mkdirSync(disk);
// Mounting takes root, and a container may refuse it even then.
const mounted =
  process.getuid?.() === 0 &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0;

const opened: Log[] = [];

async function open(directory: string, options: LogOptions = {}): Promise<Log> {
  const log = await Log.open(directory, options);
  opened.push(log);
  return log;
}

afterEach(async () => {
  await endAll();
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

const SMALL = { segment: '64KiB', sync: 'none' } as const;

/** A log of so many segments, which is closed. */
async function logOf(segments: number): Promise<string> {
  const directory = newDirectory();
  const log = await Log.open(directory, SMALL);
  while (log.segments().length < segments) log.append(Buffer.alloc(4000, log.next));
  await log.close();
  return directory;
}

async function offsetsOf(log: Log, from: number | 'earliest' = 'earliest'): Promise<number[]> {
  return (await collect(log.read({ from }))).map(({ offset }) => offset);
}

const upTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, i) => from + i);

test.skipIf(!mounted)(
  'a full disk refuses the roll, keeps all before it, and is gone on with once there is room',
  async () => {
    try {
      const ballast = join(disk, 'ballast');
      writeFileSync(ballast, Buffer.alloc(1 << 20));
      const log = await open(join(disk, 'log'), SMALL);
      const following = log.tail({ from: 'earliest' });
      const fill = () => {
        for (;;) log.append(Buffer.alloc(4000, log.next));
      };
      for (let round = 0; round < 3; round++) {
        expect(thrown(fill)).toMatchObject({ code: 'ERR_NO_SPACE' });
      }
      const { next } = log;
      expect(next).toBeGreaterThan(100);
      expect(await offsetsOf(log)).toEqual(upTo(next));
      const names = readdirSync(log.path);
      rmSync(ballast);
      expect(log.append(Buffer.alloc(4000, next))).toBe(next);
      expect(readdirSync(log.path).length).toBe(names.length + 1);
      const seen = following.readBatch(10_000);
      expect(seen.map(({ offset }) => offset)).toEqual(upTo(next + 1));
      expect(seen.every(({ offset, value }) => value.equals(Buffer.alloc(4000, offset)))).toBe(true);
      await log.close();
      const again = await open(log.path, SMALL);
      expect(again.recovery).toEqual({ after: 'close', dropped: 0, setAside: [] });
      expect(await offsetsOf(again)).toEqual(upTo(next + 1));
      await again.close();
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  },
);

test('a log has one writer, in this process or another', async () => {
  const directory = newDirectory();
  const log = await open(directory, SMALL);
  expect(await failure(() => Log.open(directory, SMALL))).toMatchObject({ code: 'ERR_WRITER_ACTIVE' });
  await log.close();
  const child = new Child('../../log/fixtures/appending-child.js', {
    directory,
    seed: 1,
    open: SMALL,
    notes: `${newPath()}-notes`,
  });
  await child.expect('open');
  expect(await failure(() => Log.open(directory, SMALL))).toMatchObject({ code: 'ERR_WRITER_ACTIVE' });
  await child.end();
  expect((await open(directory, SMALL)).append('now')).toBe(0);
});

test('a segment that is missing in the middle is told as a gap, and what lies before and behind it is read', async () => {
  const directory = await logOf(5);
  const log = await open(directory, { readOnly: true });
  const [, , { base: from, path }, { base: to }] = log.segments();
  rmSync(path);
  const read: number[] = [];
  const error = await failure(async () => {
    for await (const { offset } of log.read({ from: 'earliest' })) read.push(offset);
  });
  expect(error).toMatchObject({ code: 'ERR_GAP', from, to });
  expect(read).toEqual(upTo(from));
  expect(await offsetsOf(log, to)).toEqual(upTo(log.next, to));
});

test('what is foreign is set aside with a note by who may write, and left as it is by who may not', async () => {
  const directory = await logOf(2);
  const foreign = ['notes.txt', '00000000000000009999.mr'];
  for (const name of foreign) writeFileSync(join(directory, name), 'not of a log, however long this is');
  const contents = () =>
    readdirSync(directory).map((name) => {
      const { mtimeNs } = statSync(join(directory, name), { bigint: true });
      return [name, mtimeNs, readFileSync(join(directory, name)).toString('latin1')];
    });
  const before = contents();
  const reading = await open(directory, { readOnly: true });
  // It is named as a segment, and says of itself that it is none.
  expect((await failure(() => collect(reading.read()))).code).toMatch(/^ERR_(FORMAT|TRUNCATED)$/);
  await reading.close();
  expect(contents()).toEqual(before);
  const log = await open(directory, SMALL);
  expect(log.recovery?.setAside.map(({ name }) => name).sort()).toEqual([...foreign].sort());
  for (const { name, path } of log.recovery?.setAside ?? []) {
    expect(readdirSync(directory)).not.toContain(name);
    expect(readFileSync(path, 'utf8')).toContain('not of a log');
    expect(readFileSync(`${path}.why`, 'utf8')).toMatch(/not/);
  }
  expect(await offsetsOf(log)).toEqual(upTo(log.next));
});

test('what is no directory of a log is refused in words', async () => {
  const missing = join(newDirectory(), 'missing');
  expect(await failure(() => Log.open(missing, { readOnly: true }))).toMatchObject({ code: 'ERR_NOT_FOUND' });
  expect(readdirSync(join(missing, '..'))).toEqual([]);
  const file = join(newDirectory(), 'file');
  writeFileSync(file, '');
  for (const readOnly of [true, false]) {
    const error = await failure(() => Log.open(file, { readOnly }));
    expect(error.message).toContain(file);
  }
});

test('a clock that goes backwards changes no order, and times are still found', async () => {
  const log = await open(newDirectory(), SMALL);
  const first = Date.UTC(2030, 0, 1);
  for (let i = 0; i < 400; i++) log.append({ value: Buffer.alloc(500, i), timestamp: first - i * 1000 });
  expect(await offsetsOf(log)).toEqual(upTo(400));
  for (const i of [0, 1, 200, 399]) {
    const [found] = await collect(log.read({ from: { time: first - i * 1000 }, limit: 1 }));
    expect(found.offset).toBe(0);
  }
  expect(await collect(log.read({ from: { time: first + 1 } }))).toEqual([]);
});

test('a thousand logs of one record each take less than 128 MiB', async () => {
  const parent = newDirectory();
  let bytes = 0;
  for (let i = 0; i < 1000; i++) {
    const log = await Log.open(join(parent, String(i)), { sync: 'none' });
    log.append('one record');
    await log.close();
    for (const name of readdirSync(log.path)) bytes += statSync(join(log.path, name)).blocks * 512;
  }
  expect(bytes).toBeLessThan(128 << 20);
});

test('closing twice, in the middle of everything, ends all of it', async () => {
  const log = await Log.open(newDirectory(), { segment: '64KiB', sync: 'commit' });
  for (let i = 0; i < 300; i++) log.append(Buffer.alloc(1000));
  const following = collect(log.read({ follow: true, from: 'earliest' }));
  const commits = Promise.all(
    [log.commit('a'), log.commit(['b', 'c'])].map((one) => one.catch((error) => error)),
  );
  const compacting = log.compact().catch((error) => error);
  const tail = log.tail({ from: 'earliest' });
  const closed = [log.close(), log.close()];
  await Promise.all(closed);
  for (const outcome of [...(await commits), await compacting]) {
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
  }
  await following.catch((error) => expect(error).toMatchObject({ code: 'ERR_CLOSED_HANDLE' }));
  expect(tail.closed).toBe(true);
  const again = await open(log.path, SMALL);
  expect(again.next).toBeGreaterThanOrEqual(300);
  expect(await offsetsOf(again)).toEqual(upTo(again.next));
});

test.each(['exclusive', 'shared'] as const)(
  'who waits for the disk as a log is closed gets it, whatever sync is: %s',
  async (writers) => {
    const log = await Log.open(newDirectory(), { sync: 'none', writers });
    const waiting = [log.commit('x'), log.flush()];
    await log.appendAsync('y');
    await log.close();
    expect(await Promise.all(waiting)).toEqual([0, 2]);
    await using again = await Log.open(log.path, { readOnly: true });
    expect(again.durable).toBe(2);
  },
);

test('a worker thread that is terminated while it appends leaves a log that is gone on with', async () => {
  const directory = newDirectory();
  for (let round = 0; round < 3; round++) {
    const source = `const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(`${shipped}log/index.js`)}).then(async ({ Log }) => {
        const log = await Log.open(${JSON.stringify(directory)}, { segment: '64KiB', sync: 'none' });
        for (let i = 0; ; i++) { log.append(Buffer.alloc(500, log.next)); if (i === 400) parentPort.postMessage(log.next); }
      });`;
    const worker = new Worker(source, { eval: true });
    const told = await new Promise<number>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await worker.terminate();
    const log = await Log.open(directory, SMALL);
    expect(log.next).toBeGreaterThanOrEqual(told);
    expect(log.recovery).toMatchObject({ dropped: 0, setAside: [] });
    const records = await collect(log.read());
    expect(records.map(({ offset }) => offset)).toEqual(upTo(log.next));
    expect(records.every(({ offset, value }) => value.equals(Buffer.alloc(500, offset)))).toBe(true);
    await log.close();
  }
});

test('of two thousand segments a writer has few mapped at any time, a reader once garbage is collected', async () => {
  const log = await open(newDirectory(), { segment: '16KiB', sync: 'none' });
  const mapped = () => readFileSync('/proc/self/maps', 'utf8').split(log.path).length - 1;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const value = Buffer.alloc(4000);
  let most = 0;
  const appendUpTo = async (segments: number) => {
    while (log.segments().length < segments) {
      for (let i = 0; i < 40; i++) log.append(value);
      await turn();
      most = Math.max(most, mapped());
    }
  };
  const collected = async () => {
    globalThis.gc?.();
    await turn();
    await turn();
    return process.memoryUsage().heapUsed;
  };
  await appendUpTo(200);
  const before = await collected();
  await appendUpTo(2000);
  // How many segments are being made or let go at a time is the disk's affair; how many there are is not.
  expect(most).toBeLessThan(200);
  const tail = log.tail({ from: 'earliest' });
  let read = 0;
  for (let count = tail.poll(() => {}, 100); count > 0; count = tail.poll(() => {}, 100)) {
    read += count;
    await turn();
  }
  expect(read).toBe(log.next);
  const after = await collected();
  expect(mapped()).toBeLessThan(300);
  expect(after - before).toBeLessThan(4 << 20);
});
