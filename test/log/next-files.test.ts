import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { type Binding, binding } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';

const EXT4 = 0xef53;
const TMPFS = 0x01021994;
const SEGMENT = 64 * 1024;

const opened: Log[] = [];

async function open(options: LogOptions): Promise<Log> {
  const log = await Log.open(newDirectory(), { sync: 'none', ...options });
  opened.push(log);
  return log;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
  vi.restoreAllMocks();
});

async function fillTo(log: Log, segments: number): Promise<void> {
  while (log.segments().length < segments) await log.appendAsync(Buffer.alloc(1000));
}

describe('how many files are made ahead for the next segments', () => {
  let nowMs: number;
  let preparing: MockInstance<Binding['prepareFile']>;
  let taking: MockInstance<Binding['takePrepared']>;
  const { statFile, takePrepared } = binding();

  beforeEach(() => {
    nowMs = performance.now();
    preparing = vi.spyOn(binding(), 'prepareFile');
    // Each is ready as soon as somebody asks.
    taking = vi.spyOn(binding(), 'takePrepared').mockImplementation((one) => takePrepared(one, true));
  });

  /** A log whose segments are full after so long each, up to the eighth. */
  async function fill(fullAfterMs: number, fileSystem = EXT4, options: LogOptions = {}): Promise<Log> {
    vi.spyOn(binding(), 'statFile').mockImplementation((file) => ({ ...statFile(file), fileSystem }));
    const log = await open({ segment: SEGMENT, ...options });
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    for (let segments = 1; segments <= 8; segments++) {
      await fillTo(log, segments);
      nowMs += fullAfterMs;
    }
    for (let kilobytes = 0; kilobytes < 50; kilobytes++) await log.appendAsync(Buffer.alloc(1000));
    return log;
  }

  /** Of those that were prepared for this log. */
  function ahead(log: Log): number {
    // The first segment of all is made at once.
    return preparing.mock.calls.length - (log.segments().length - 1);
  }

  test('on a disk that may be busy as many as are filled within two seconds, at most three', async () => {
    expect(ahead(await fill(3000))).toBe(1);
    preparing.mockClear();
    expect(ahead(await fill(1200))).toBe(2);
    preparing.mockClear();
    expect(ahead(await fill(300))).toBe(3);
  });

  test('one where appending takes all of a cpu, in memory, and where others append, too', async () => {
    expect(ahead(await fill(0))).toBe(1);
    preparing.mockClear();
    expect(ahead(await fill(300, TMPFS))).toBe(1);
    preparing.mockClear();
    expect(ahead(await fill(300, EXT4, { writers: 'shared' }))).toBe(1);
  });

  test('one while segments grow: the one behind that is larger', async () => {
    vi.spyOn(binding(), 'statFile').mockImplementation((file) => ({ ...statFile(file), fileSystem: EXT4 }));
    const log = await open({ segment: '1MiB' });
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    for (let segments = 2; segments <= 3; segments++) {
      nowMs += 300;
      await fillTo(log, segments);
    }
    for (let kilobytes = 0; kilobytes < 150; kilobytes++) await log.appendAsync(Buffer.alloc(1000));
    expect([log.segments().length, ahead(log)]).toEqual([3, 1]);
  });

  test.each(['under way', 'ready'])(
    'one that is too small for what comes is let go of: %s',
    async (state) => {
      const closing = vi.spyOn(binding(), 'closeFile');
      const dropping = vi.spyOn(binding(), 'dropPreparation');
      const log = await open({ segment: '4MiB' });
      for (let kilobytes = 0; kilobytes < 50; kilobytes++) log.append(Buffer.alloc(1000));
      expect(ahead(log)).toBe(1);
      // Who looks after it finds that it is ready.
      if (state === 'ready') await log.lookAfter();
      const [{ value: small }] = preparing.mock.results;
      closing.mockClear();
      const offset = log.append(Buffer.alloc(500_000, 7));
      if (state === 'ready') expect(closing).toHaveBeenCalledWith(taking.mock.results[0].value);
      else expect(dropping).toHaveBeenCalledWith(small);
      expect(log.segments()).toHaveLength(2);
      const [{ value }] = await collect(log.read({ from: offset }));
      expect(value.equals(Buffer.alloc(500_000, 7))).toBe(true);
    },
  );

  test('they are let go of when the log is closed', async () => {
    const closing = vi.spyOn(binding(), 'closeFile');
    const dropping = vi.spyOn(binding(), 'dropPreparation');
    await (await fill(300)).close();
    const taken = new Set(taking.mock.calls.map(([preparation]) => preparation));
    expect(preparing.mock.results.length - taken.size).toBe(1);
    for (const { value } of preparing.mock.results) {
      if (!taken.has(value)) expect(dropping).toHaveBeenCalledWith(value);
    }
    for (const { value } of taking.mock.results) expect(closing).toHaveBeenCalledWith(value);
  });

  test('all but one are let go of when segments are not filled as fast any more', async () => {
    const log = await fill(300);
    const closing = vi.spyOn(binding(), 'closeFile');
    await log.lookAfter();
    expect(closing).not.toHaveBeenCalled();
    nowMs += 60_000;
    await log.lookAfter();
    expect(closing).toHaveBeenCalledTimes(2);
    const { rollStalls } = log.stats();
    await fillTo(log, 9);
    expect(log.stats().rollStalls).toBe(rollStalls);
  });

  test('one at a time: the next is begun when the one before is ready', async () => {
    taking.mockImplementation(takePrepared);
    const log = await fill(300);
    taking.mockImplementation((one, wait) => (wait ? takePrepared(one, true) : undefined));
    // What is ready by now is used up; then each is waited for, and no other one is begun meanwhile.
    await fillTo(log, 12);
    const begun = preparing.mock.calls.length;
    const { rollStalls } = log.stats();
    await fillTo(log, 15);
    expect(log.stats().rollStalls).toBe(rollStalls + 3);
    expect(preparing.mock.calls.length).toBe(begun + 3);
  });

  test('where there is no room for one more, those that are ready are used, and no other one is begun meanwhile', async () => {
    const log = await fill(1200);
    const full = Object.assign(new Error('full'), { code: 'ENOSPC', errno: -28, syscall: 'fallocate' });
    let failed = 0;
    taking.mockImplementation(() => {
      failed++;
      throw full;
    });
    const begun = preparing.mock.calls.length;
    const { rollStalls } = log.stats();
    const segments = log.segments().length;
    await fillTo(log, segments + 1);
    nowMs += 1200;
    for (let kilobytes = 0; kilobytes < 50; kilobytes++) await log.appendAsync(Buffer.alloc(1000));
    // The one that was under way, and one for this segment.
    expect([failed, preparing.mock.calls.length - begun]).toEqual([2, 1]);
    expect(log.stats().rollStalls).toBe(rollStalls);
    // With none that is ready it is made at once, which says what is wrong.
    const making = vi.spyOn(binding(), 'createFileNow').mockImplementation(() => {
      throw full;
    });
    await expect(fillTo(log, segments + 4)).rejects.toMatchObject({ code: 'ERR_NO_SPACE' });
    making.mockRestore();
    const { next } = log;
    await fillTo(log, segments + 4);
    expect((await collect(log.read())).map(({ offset }) => offset).length).toBe(log.next);
    expect(log.next).toBeGreaterThan(next);
  });
});

test('where no next segment can be begun ahead appending goes on, and it is tried again', async () => {
  const log = await open({ segment: '16KiB' });
  const { prepareFile } = binding();
  const refused = Object.assign(new Error('no thread'), {
    code: 'EAGAIN',
    errno: -11,
    syscall: 'pthread_create',
  });
  const preparing = vi.spyOn(binding(), 'prepareFile').mockImplementation(() => {
    throw refused;
  });
  await fillTo(log, 4);
  expect(preparing.mock.calls.length).toBeGreaterThan(2);
  preparing.mockClear().mockImplementation(prepareFile);
  const { rollStalls } = log.stats();
  await fillTo(log, 5);
  expect(preparing).toHaveBeenCalled();
  expect(rollStalls).toBe(3);
  expect(await collect(log.read())).toHaveLength(log.next);
});

test('and once a segment only, also where several are wanted', async () => {
  let nowMs = performance.now();
  const { statFile } = binding();
  vi.spyOn(binding(), 'statFile').mockImplementation((file) => ({ ...statFile(file), fileSystem: EXT4 }));
  const preparing = vi.spyOn(binding(), 'prepareFile').mockImplementation(() => {
    throw Object.assign(new Error('no thread'), { code: 'EAGAIN', errno: -11, syscall: 'pthread_create' });
  });
  const log = await open({ segment: SEGMENT });
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  for (let segments = 2; segments <= 4; segments++) {
    nowMs += 300;
    await fillTo(log, segments);
  }
  expect(preparing).toHaveBeenCalledTimes(3);
});

test('that a next segment could not be made ahead is not told when it can be made', async () => {
  const log = await open({ segment: '16KiB' });
  const cause = Object.assign(new Error('too many'), {
    code: 'EMFILE',
    errno: -24,
    syscall: 'open(O_TMPFILE)',
  });
  const taking = vi.spyOn(binding(), 'takePrepared').mockImplementation(() => {
    throw cause;
  });
  await fillTo(log, 4);
  expect(taking).toHaveBeenCalled();
  expect(await collect(log.read())).toHaveLength(log.next);
});
