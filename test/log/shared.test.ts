import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { disk, SegmentWriter } from '../../lib/channel/index.js';
import { LockFile, Turns } from '../../lib/log/files/index.js';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { SharedWriter } from '../../lib/log/opening/shared-writer.js';
import { binding } from '../../lib/native.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { killInARow, killSharing, killSharingAtSteps } from './fixtures/shared-kills.js';

// The same kills each time; `npm run soak -- --shared-kills N` has others.
const SEED = 20_277;

// A hang guard: they take seconds, but each has many processes to begin.
vi.setConfig({ testTimeout: 240_000 });

const opened: Log[] = [];

async function open(directory: string, options: LogOptions = {}): Promise<Log> {
  const log = await Log.open(directory, options);
  opened.push(log);
  return log;
}

afterEach(async () => {
  vi.restoreAllMocks();
  await endAll();
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

test('four append at once and are killed at any time: no gap, no repeat, each one’s records in order, commits durable', async () => {
  const { kills, records, acknowledged } = await killSharing({
    newPath,
    seed: SEED,
    kills: 14,
    sync: 'commit',
  });
  console.log(`${kills} kills, ${records} records, of them ${acknowledged} acknowledged, seed ${SEED}`);
  expect(kills).toBeGreaterThanOrEqual(14);
  expect(acknowledged).toBeGreaterThan(100);
});

test('one dies at each step of its turn, or of taking over from the dead, and the others go on', async () => {
  const { kills, segments } = await killSharingAtSteps({ newPath, seed: SEED, sync: 'none' });
  console.log(`${kills} kills, ${segments} segments, seed ${SEED}`);
  expect(kills).toBeGreaterThan(40);
});

test('one dies in the roll, who waited for its turn dies in finishing that, and the third finds all of it', async () => {
  const { kills } = await killInARow({ newPath, sync: 'commit' });
  expect(kills).toBeGreaterThanOrEqual(18);
});

test('one dies when the last segment, in which nothing was, has lost its name to a larger one: nobody goes on with the old one', async () => {
  const directory = newDirectory();
  const options: LogOptions = { writers: 'shared', segment: '1MiB', sync: 'none' };
  const first = await open(directory, { ...options, rollAfterMs: 1 });
  expect(await first.appendAsync('first')).toBe(0);
  while (first.segments().length < 2) await first.lookAfter();
  const late = await open(directory, options);
  const given = { directory, open: options, batch: 200, die: { step: 110 } };
  const child = new Child('../../log/fixtures/rolling-child.js', given, { steps: true });
  expect((await child.exit).signal).toBe('SIGKILL');
  // Whose turn it is after that knows of the death, the next one does not.
  const appended = [first, late, first, late].map((log) => () => log.commit('after'));
  const offsets: number[] = [];
  for (const append of appended) offsets.push(await append());
  expect(offsets).toEqual([1, 2, 3, 4]);
  const reading = await open(directory, { readOnly: true });
  expect((await collect(reading.read())).map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4]);
});

/** A process that stands still in its turn. */
async function stoppedInItsTurn(directory: string): Promise<Child> {
  const options = { writers: 'shared', sync: 'none' };
  const given = { directory, open: options, life: 1, notes: `${newPath()}-notes`, stop: { step: 150 } };
  const child = new Child('../../log/fixtures/sharing-child.js', given, { steps: true });
  await child.expect('open');
  child.send('go');
  await child.expect('stopping');
  await child.stopped();
  return child;
}

test('who waits for the turn of one that stands still is told of whom, and gets it once that goes on or dies', async () => {
  const directory = newDirectory();
  const log = await open(directory, { writers: 'shared', sync: 'none' });
  expect(await log.appendAsync('before')).toBe(0);
  for (const signal of ['SIGCONT', 'SIGKILL'] as const) {
    const child = await stoppedInItsTurn(directory);
    const late = await failure(() => log.appendAsync('late', { timeoutMs: 30 }));
    expect(late).toMatchObject({ code: 'ERR_TIMEOUT', path: directory, pid: child.pid, timeoutMs: 30 });
    expect(late.message).toContain(`${directory}: not within 30 ms; process ${child.pid} has it`);
    const controller = new AbortController();
    const aborted = failure(() => log.commit('given up', { signal: controller.signal }));
    const patient = log.appendAsync(`after ${signal}`);
    const short = failure(() => log.flush({ timeoutMs: 30 }));
    controller.abort();
    expect(await aborted).toMatchObject({ code: 'ERR_ABORTED', path: directory });
    expect(await short).toMatchObject({ code: 'ERR_TIMEOUT', pid: child.pid });
    // Whose patience is over goes by himself: who came before him and has more of it waits on.
    child.kill(signal);
    const offset = await patient;
    await child.end();
    const [record] = await collect(log.read({ from: offset, limit: 1 }));
    expect(record.value.toString()).toBe(`after ${signal}`);
  }
  const values = (await collect(log.read())).map(({ value }) => value.toString());
  expect(values.filter((value) => /late|given up/.test(value))).toEqual([]);
  expect(values.filter((value) => value.startsWith('after'))).toEqual(['after SIGCONT', 'after SIGKILL']);
});

/** What this process has open in a directory. */
function heldIn(directory: string): string[] {
  const held: string[] = [];
  for (const file of readdirSync('/proc/self/fd')) {
    try {
      held.push(readlinkSync(`/proc/self/fd/${file}`));
    } catch {
      // That of the listing itself.
    }
  }
  return held.filter((path) => path.startsWith(directory));
}

test('opening waits for the turn of one that stands still as long as it is told to, and leaves nothing behind', async () => {
  const directory = newDirectory();
  await (await Log.open(directory, { writers: 'shared', sync: 'none' })).close();
  const child = await stoppedInItsTurn(directory);
  const late = await failure(() => open(directory, { timeoutMs: 30 }));
  expect(late).toMatchObject({ code: 'ERR_TIMEOUT', path: directory, pid: child.pid, timeoutMs: 30 });
  expect(late.appender).toBe(0);
  expect(late.message).toContain(`${directory}: not within 30 ms; process ${child.pid} has it`);
  const controller = new AbortController();
  const aborted = failure(() => open(directory, { signal: controller.signal }));
  setImmediate(() => controller.abort('enough'));
  expect(await aborted).toMatchObject({ code: 'ERR_ABORTED', path: directory, cause: 'enough' });
  expect(heldIn(directory)).toEqual([]);
  const patient = open(directory, { timeoutMs: 200_000, signal: new AbortController().signal });
  child.kill('SIGKILL');
  expect(await (await patient).appendAsync('after')).toBe(0);
  await child.end();
});

test('opening does nothing where it is aborted already; what waits for nobody is opened at once', async () => {
  const directory = newPath();
  for (const readOnly of [false, true]) {
    const refused = await failure(() => Log.open(directory, { signal: AbortSignal.abort(), readOnly }));
    expect(refused).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError', path: directory });
  }
  expect(existsSync(directory)).toBe(false);
  for (const writers of ['shared', 'exclusive'] as const) {
    await (await Log.open(`${directory}-${writers}`, { writers, timeoutMs: 0 })).close();
  }
  for (const wrong of [{ timeoutMs: -1 }, { signal: {} as AbortSignal }]) {
    expect(await failure(() => Log.open(directory, wrong))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  }
});

/** Somebody else has the turn and stands still in it, until this test is over. */
async function takeTurn(directory: string): Promise<void> {
  const lock = LockFile.open(directory, true) as LockFile;
  onTestFinished(() => lock.close());
  await new Turns(lock).take({});
}

test('closing does not wait for a turn: who waits for one is told, what is appended is on the disk', {
  timeout: 20_000,
}, async () => {
  const directory = newDirectory();
  const log = await Log.open(directory, { writers: 'shared', sync: { everyMs: 3_600_000 }, rollAfterMs: 1 });
  await log.appendAsync('appended');
  await takeTurn(directory);
  const waiting = [() => log.appendAsync('late'), () => log.commit('late'), () => log.flush()].map(failure);
  const looking = log.lookAfter();
  await log.close();
  for (const refused of waiting) expect(await refused).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
  await looking;
  const reading = await open(directory, { readOnly: true });
  expect([reading.next, reading.durable]).toEqual([1, 1]);
});

test('compacting ends by its signal while it waits for a turn', { timeout: 20_000 }, async () => {
  const directory = newDirectory();
  const log = await open(directory, { writers: 'shared' });
  await takeTurn(directory);
  const controller = new AbortController();
  const compacting = failure(() => log.compact({ signal: controller.signal }));
  const closedOver = failure(() => log.compact());
  setImmediate(() => controller.abort());
  expect(await compacting).toMatchObject({ code: 'ERR_ABORTED' });
  await log.close();
  expect(await closedOver).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
});

test('a look after the log takes a turn only to begin new segments by age, and waits for one at a time', {
  timeout: 20_000,
}, async () => {
  const directory = newDirectory();
  const log = await open(directory, { writers: 'shared' });
  const rolling = await open(directory, { writers: 'shared', rollAfterMs: 3_600_000 });
  await takeTurn(directory);
  const turns = vi.spyOn(SharedWriter.prototype, 'inTurn');
  await log.lookAfter();
  const looks = [rolling.lookAfter(), rolling.lookAfter()];
  expect(turns).toHaveBeenCalledTimes(1);
  await rolling.close();
  await Promise.all(looks);
});

test('who waits for a turn to begin a new segment removes old ones all the same', {
  timeout: 20_000,
}, async () => {
  const directory = newDirectory();
  const options: LogOptions = { writers: 'shared', segment: '16KiB', sync: 'none' };
  const log = await open(directory, options);
  while (log.segments().length < 4) await log.appendAsync(Buffer.alloc(3000));
  await log.close();
  const keeping = await open(directory, { ...options, rollAfterMs: 3_600_000, retention: { segments: 1 } });
  await takeTurn(directory);
  const looking = keeping.lookAfter();
  await vi.waitUntil(() => keeping.segments().length === 1, { timeout: 10_000 });
  await keeping.close();
  await looking;
});

test('a shared log is appended to in turns only, and is not opened as an exclusive one, nor the reverse', async () => {
  const [shared, exclusive] = [newDirectory(), newDirectory()];
  const log = await open(shared, { writers: 'shared' });
  for (const work of [() => log.append('x'), () => log.appendBatch(['x'])]) {
    expect(thrown(work)).toMatchObject({ code: 'ERR_SHARED' });
  }
  const alone = await open(exclusive, {});
  for (const [path, writers] of [
    [shared, 'exclusive'],
    [exclusive, 'shared'],
  ] as const) {
    const error = await failure(() => open(path, { writers }));
    expect(error).toMatchObject({ code: 'ERR_SHARED', path });
    expect(error.message).toContain(`The log ${path} was made`);
    expect(error.message).toContain(`or say '${writers === 'shared' ? 'exclusive' : 'shared'}'`);
  }
  expect(alone.append('x')).toBe(0);
  // Who doesn't say takes it as it was made.
  const adopting = await open(shared);
  expect(thrown(() => adopting.append('x'))).toMatchObject({ code: 'ERR_SHARED' });
  expect(await Promise.all([log.appendAsync('a'), adopting.appendAsync(['b', 'c'])])).toEqual([0, 1]);
  expect(await log.commit('d')).toBe(3);
  expect([log.next, adopting.next, adopting.durable, log.durable]).toEqual([4, 4, 4, 4]);
});

test('who waits for the disk while another one seals the segment has it there', async () => {
  const directory = newDirectory();
  const options: LogOptions = { writers: 'shared', segment: '16KiB', sync: 'none' };
  const [one, other] = [await open(directory, options), await open(directory, options)];
  await one.commit('its name is on the disk');
  const flush = disk.flushFrames;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const flushing = vi.spyOn(disk, 'flushFrames').mockImplementationOnce(async (...given) => {
    await held;
    return given[2];
  });
  const { goOn } = SegmentWriter.prototype;
  // In the middle of finding out that the segment was sealed, and where the log goes on.
  const goingOn = vi.spyOn(SegmentWriter.prototype, 'goOn').mockImplementation(function (
    this: SegmentWriter,
  ) {
    const isOpen = goOn.call(this);
    if (!isOpen) release();
    return isOpen;
  });
  try {
    const first = one.commit('in the round that runs');
    await vi.waitUntil(() => flushing.mock.calls.length > 0);
    const second = one.commit('behind it');
    await one.appendAsync('appended');
    flushing.mockImplementation(flush);
    while (other.segments().length < 2) await other.appendAsync('x'.repeat(1000));
    await one.appendAsync('in the next segment');
    expect(goingOn).toHaveReturnedWith(false);
    expect(await Promise.all([first, second])).toEqual([1, 2]);
  } finally {
    vi.restoreAllMocks();
  }
});

test('where it can not be found out where the log goes on, that is told, and tried again; closing ends', async () => {
  const directory = newDirectory();
  for (const sync of ['none', 'commit'] as const) {
    const options: LogOptions = { writers: 'shared', segment: '16KiB', sync };
    const [one, other] = [await open(directory, options), await open(directory, options)];
    const first = await one.appendAsync('mine');
    const segments = other.segments().length;
    while (other.segments().length === segments) await other.appendAsync('x'.repeat(1000));
    const cause = Object.assign(new Error('too many'), { code: 'EMFILE', errno: -24, syscall: 'open' });
    const opening = vi.spyOn(binding(), 'openFile').mockImplementation(() => {
      throw cause;
    });
    try {
      for (let i = 0; i < 2; i++)
        expect(await failure(() => one.appendAsync('not now'))).toMatchObject({ code: 'ERR_SYSTEM', cause });
      expect(opening).toHaveBeenCalled();
      if (sync === 'none') await one.close();
    } finally {
      vi.restoreAllMocks();
    }
    if (sync === 'commit') expect(await one.commit('now')).toBe(other.next - 1);
    await one.close();
    expect(other.tail({ from: first }).read()?.value.toString()).toBe('mine');
    await other.close();
  }
});

test('two handles of one process roll under each other, with readers and cursors beside them', async () => {
  const directory = newDirectory();
  const options = { writers: 'shared', segment: '64KiB', sync: 'none' } as const;
  const logs = [await open(directory, options), await open(directory, options)];
  const following = logs[0].tail({ from: 'earliest' });
  const seen: number[] = [];
  for (let i = 0; i < 400; i++) {
    const offset = await logs[i % 2].appendAsync([Buffer.alloc(500, i), Buffer.alloc(500, i + 1)]);
    expect(offset).toBe(i * 2);
    for (const record of following.readBatch(10)) seen.push(record.offset);
  }
  for (const record of following.readBatch(1000)) seen.push(record.offset);
  expect(seen).toEqual(Array.from({ length: 800 }, (_, i) => i));
  expect(logs[0].segments().length).toBeGreaterThan(4);
  const read = await collect(logs[1].read({ cursor: 'mine', limit: 700 }));
  expect(read.map(({ offset, value }) => [offset, value[0]])).toEqual(
    Array.from({ length: 700 }, (_, i) => [i, ((i >> 1) + (i & 1)) & 255]),
  );
  expect(logs[0].cursors()).toEqual([{ name: 'mine', offset: 700, lag: 100 }]);
});

test('of what is appended by turns the checksums are made meanwhile, however little each turn appends', async () => {
  const directory = newDirectory();
  const options: LogOptions = { writers: 'shared', segment: '8MiB', sync: 'none' };
  const [one, other] = [await open(directory, options), await open(directory, options)];
  const made = vi.spyOn(disk, 'flushFrames');
  const record = Buffer.alloc(200_000, 1);
  for (let times = 0; times < 8; times++) {
    await one.appendAsync(record);
    await other.appendAsync(record);
  }
  const stretches = made.mock.calls.filter(([, start, end]) => end - start >= 2 ** 20);
  expect(new Set(stretches.map(([file]) => file)).size).toBe(2);
});
