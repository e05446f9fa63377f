import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { declareAbandoned, inspect, Reader, Refusal, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

const MODES = ['ring', 'linear'] as const;
const create = (mode: (typeof MODES)[number], path = newPath(), more = {}) =>
  mortal(() => Writer.create(path, { mode, capacity: '64KiB', ...more }));

async function drain(reader: Reader): Promise<string[]> {
  const seen: string[] = [];
  for await (const record of reader) seen.push(record.data.toString());
  return seen;
}

describe.each(MODES)('a %s channel', (mode) => {
  test('says how its writer is: alive, stalled, dead, and alive again', async () => {
    const { writer, crash } = await create(mode, newPath(), { heartbeatMs: 60_000, stalledAfterMs: 50 });
    // One timer beats for all writers of a thread, at the pace of the fastest: this one is to stand still.
    const beat = writer.heartbeat.bind(writer);
    writer.heartbeat = () => {};
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    expect(reader.status).toBe('alive');
    await delay(80);
    expect(reader.status).toBe('stalled');
    beat();
    expect(reader.status).toBe('alive');
    await delay(80);
    expect(reader.status).toBe('stalled');
    // Only what this reader saw counts: one that has just come can't know.
    using fresh = await Reader.open(writer.path);
    expect(fresh.status).toBe('alive');
    crash();
    expect([reader.status, fresh.status, inspect(writer.path).status]).toEqual(['dead', 'dead', 'dead']);
    using next = await Writer.resume(writer.path);
    expect([reader.status, inspect(writer.path).resumes]).toEqual(['alive', 1]);
    expect(next.state).toBe('open');
  });

  test('a timer beats for the writer, and does not keep the process', async () => {
    using writer = await Writer.create(newPath(), {
      mode,
      capacity: '64KiB',
      heartbeatMs: 20,
      stalledAfterMs: 2000,
    });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    writer.write('one');
    writer.write('two');
    expect(inspect(writer.path).records).toBe(1);
    // The beat publishes the tail as well.
    await vi.waitFor(() => expect(inspect(writer.path)).toMatchObject({ records: 2, tail: writer.position }));
    const beats = new Set<unknown>();
    await vi.waitFor(() =>
      expect(beats.add(readFileSync(writer.path).readInt32LE(L.HEARTBEAT_OFFSET)).size).toBe(4),
    );
    expect(reader.status).toBe('alive');
    expect(inspect(writer.path).heartbeatAgeMs).toBeLessThan(1000);
  });

  test('that is sealed or closed is so for ever', async () => {
    for (const as of ['sealed', 'closed'] as const) {
      const { writer } = await create(mode);
      using reader = await Reader.open(writer.path, { from: 'oldest' });
      writer.write('last');
      if (as === 'sealed') writer.seal();
      else writer.close();
      expect(writer.state).toBe(as);
      const final = writer.position;
      expect(await drain(reader)).toEqual(['last']);
      expect([reader.ended, reader.status, reader.position]).toEqual([true, as, final]);
      writer.close();
      expect(inspect(writer.path)).toMatchObject({ status: as, finalPosition: final, records: 1 });
      expect(writer.tryWrite('more')).toBe(Refusal.ENDED);
      expect(writer.remaining).toBe(0);
      for (const use of [
        () => writer.write('more'),
        () => writer.writeBatch(['more']),
        () => writer.claim(4),
        () => writer.send('more'),
        () => writer.ready(),
        () => writer.heartbeat(),
        () => writer.readers(),
        () => writer.stats(),
        () => writer.seal(),
      ]) {
        expect([String(use), (await failure(use)).code]).toEqual([String(use), 'ERR_CLOSED_HANDLE']);
      }
      for (const again of [() => Writer.resume(writer.path), () => declareAbandoned(writer.path)]) {
        expect(await failure(again)).toMatchObject({ code: 'ERR_ENDED', path: writer.path, state: as });
      }
    }
  });

  test('an open claim is given up by close', async () => {
    const { writer } = await create(mode);
    writer.write('kept');
    const claim = writer.claim(100);
    claim?.bytes.fill(1, claim.start, claim.end);
    writer.close();
    for (const use of [() => claim?.commit(), () => claim?.abort()]) {
      expect(thrown(use)).toMatchObject({ code: 'ERR_CLOSED_HANDLE', path: writer.path });
    }
    expect(claim?.bytes.length).toBe(0);
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    expect(await drain(reader)).toEqual(['kept']);
  });

  test('that was abandoned ends for its readers, with all that was committed', async () => {
    const { writer, crash } = await create(mode);
    using reader = await Reader.open(writer.path, { from: 'oldest', onDeath: 'wait' });
    expect((await failure(() => declareAbandoned(writer.path))).code).toBe('ERR_WRITER_ACTIVE');
    for (let i = 0; i < 100; i++) writer.write(String(i));
    const claim = writer.claim(1000);
    claim?.bytes.fill(0xff, claim.start, claim.end);
    crash();
    const reading = drain(reader);
    await delay(20);
    declareAbandoned(writer.path);
    expect(await reading).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
    expect([reader.status, reader.ended]).toEqual(['abandoned', true]);
    expect(inspect(writer.path)).toMatchObject({
      status: 'abandoned',
      records: 100,
      finalPosition: reader.position,
    });
    for (const again of [() => Writer.resume(writer.path), () => declareAbandoned(writer.path)]) {
      expect(await failure(again)).toMatchObject({ code: 'ERR_ENDED', state: 'abandoned' });
    }
  });

  test('a reader in the middle of it never notices a resume', async () => {
    const path = newPath();
    let { writer, crash } = await create(mode, path);
    using gating = await Reader.open(path, { from: 'oldest', gate: true });
    using observer = await Reader.open(path, { from: 'oldest', gate: false });
    const written: string[] = [];
    const seen: string[][] = [[], []];
    for (let life = 0; life < 6; life++) {
      for (let i = 0; i < 50; i++) {
        const text = `${life}: ${i} ${'x'.repeat(i)}`;
        if (i % 10 === 0) writer.writeBatch([text, text]);
        else writer.write(text);
        written.push(...(i % 10 === 0 ? [text, text] : [text]));
        if (i % 7 === 0)
          for (const [n, reader] of [gating, observer].entries()) {
            seen[n].push(...reader.readBatch(5).map(({ data }) => data.toString()));
          }
      }
      const { position } = writer;
      crash();
      ({ writer, crash } = await mortal(() => Writer.resume(path)));
      expect(writer.position).toBe(position);
    }
    for (const [n, reader] of [gating, observer].entries()) {
      seen[n].push(...reader.readBatch(1000).map(({ data }) => data.toString()));
      expect(seen[n]).toEqual(written);
    }
    expect(inspect(path).resumes).toBe(6);
    writer.close();
  });

  test('iteration says that the writer died, after a while; poll and read just find nothing', async () => {
    const { writer, crash } = await create(mode);
    writer.write('one');
    using reader = await Reader.open(writer.path, { from: 'oldest', deadAfterMs: 60 });
    crash();
    const begun = performance.now();
    const seen: string[] = [];
    const error = await failure(async () => {
      for await (const record of reader) seen.push(record.data.toString());
    });
    expect(error).toMatchObject({ code: 'ERR_WRITER_DEAD', path: writer.path, position: reader.position });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(59);
    expect(seen).toEqual(['one']);
    expect([reader.read(), reader.poll(() => {}), reader.ended]).toEqual([undefined, 0, false]);
    // Who resumes within that time is in time.
    using patient = await Reader.open(writer.path, { from: 'latest', deadAfterMs: 5000 });
    const next = patient[Symbol.asyncIterator]().next();
    await delay(30);
    using second = await Writer.resume(writer.path);
    second.write('two');
    expect((await next).value?.data.toString()).toBe('two');
  });

  test('of an earlier start of the machine is read, but never written', async () => {
    const { writer, crash } = await create(mode);
    writer.write('from before');
    writer.heartbeat();
    crash();
    // As if the machine had been started anew since.
    const bytes = readFileSync(writer.path);
    bytes[L.WRITER_BOOT_OFFSET] ^= 1;
    writeFileSync(writer.path, bytes);
    expect(inspect(writer.path)).toMatchObject({
      status: 'dead',
      sameBoot: false,
      heartbeatAgeMs: undefined,
    });
    expect(await failure(() => Writer.resume(writer.path))).toMatchObject({
      code: 'ERR_ENDED',
      state: 'dead',
    });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    expect(reader.read()?.data.toString()).toBe('from before');
    declareAbandoned(writer.path);
    expect([reader.ended, reader.status]).toEqual([true, 'abandoned']);
    (await Writer.create(writer.path, { mode, capacity: '64KiB', replace: true })).close();
  });

  test('takes the place of a dead one: whose readers read on to its end', async () => {
    const first = await create(mode, newPath(), { metadata: { generation: 1 } });
    const { writer } = first;
    writer.write('old');
    using old = await Reader.open(writer.path, { from: 'oldest' });
    const before = inspect(writer.path);
    const message = `${writer.path} has a live writer, pid ${process.pid}`;
    const refused = { code: 'ERR_WRITER_ACTIVE', path: writer.path, pid: process.pid, message };
    const again = () =>
      Writer.create(writer.path, { mode, capacity: '128KiB', replace: true, metadata: { generation: 2 } });
    expect(await failure(again)).toMatchObject(refused);
    first.crash();
    expect((await failure(() => Writer.create(writer.path, { mode }))).code).toBe('ERR_EXISTS');
    using second = await again();
    second.write('new');
    expect(await drain(old)).toEqual(['old']);
    expect([old.status, old.metadata]).toEqual(['abandoned', { generation: 1 }]);
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    expect(reader.read()?.data.toString()).toBe('new');
    const after = inspect(writer.path);
    expect(after).toMatchObject({
      status: 'alive',
      capacity: 131072,
      metadata: { generation: 2 },
      records: 1,
    });
    expect([after.channelId === before.channelId, after.incarnation === before.incarnation]).toEqual([
      false,
      false,
    ]);
    expect(readdirSync(dirname(writer.path))).toEqual([basename(writer.path)]);
    expect(await failure(again)).toMatchObject(refused);
  });
});

test('replace makes a channel where none is, and sweeps up what a killed creator left', async () => {
  const path = newPath();
  writeFileSync(join(dirname(path), `.${basename(path)}.replacing`), 'left behind');
  (await Writer.create(path, { capacity: '64KiB' })).close();
  using writer = await Writer.create(path, { capacity: '64KiB', replace: true });
  writer.write('x');
  expect(readdirSync(dirname(path))).toEqual([basename(path)]);
  const fresh = newPath();
  using _ = await Writer.create(fresh, { capacity: '64KiB', replace: true });
  expect(existsSync(fresh)).toBe(true);
});

describe('what takes the name while another one is about to', () => {
  const replace = (path: string) => Writer.create(path, { capacity: '64KiB', replace: true });
  const moments = ['linkFile', 'allowWrites'] as const;

  /** Calls once, before the next one is to name its file, or to change the one that it replaces. */
  function justBefore(moment: (typeof moments)[number], call: () => void): void {
    const native = binding();
    const really = native[moment] as (...given: unknown[]) => void;
    vi.spyOn(native, moment).mockImplementationOnce((...given: unknown[]) => {
      call();
      really(...given);
    });
  }

  /** A path where nothing lies to be replaced, or a dead channel does. */
  async function pathFor(moment: (typeof moments)[number]): Promise<string> {
    const path = newPath();
    if (moment === 'allowWrites') (await mortal(() => replace(path))).crash();
    return path;
  }

  test.each(moments)('is replaced if it has ended: at %s', async (moment) => {
    const path = await pathFor(moment);
    const other = await Writer.create(newPath(), { capacity: '64KiB' });
    other.close();
    justBefore(moment, () => renameSync(other.path, path));
    using _ = await replace(path);
    expect(inspect(path).status).toBe('alive');
    expect(existsSync(other.path)).toBe(false);
  });

  test.each(moments)('keeps it if it lives: at %s', async (moment) => {
    const path = await pathFor(moment);
    using other = await Writer.create(newPath(), { capacity: '64KiB' });
    const { channelId } = inspect(other.path);
    justBefore(moment, () => renameSync(other.path, path));
    expect(await failure(() => replace(path))).toMatchObject({ code: 'ERR_WRITER_ACTIVE', path });
    expect(inspect(path).channelId).toBe(channelId);
  });

  test('is refused if it is a link that leads nowhere', async () => {
    const path = await pathFor('linkFile');
    justBefore('linkFile', () => symlinkSync('/nowhere/at/all', path));
    expect(await failure(() => replace(path))).toMatchObject({ code: 'ERR_FORMAT', path });
  });
});

test.each([100, 101, 244, 245, 255])('a name of %d bytes is replaced like any other', async (bytes) => {
  const path = join(newDirectory(), 'n'.repeat(bytes));
  for (let n = 0; n < 2; n++) {
    const { writer, crash } = await mortal(() => Writer.create(path, { capacity: '64KiB', replace: n > 0 }));
    writer.write(`${n}`);
    crash();
  }
  using reader = await Reader.open(path, { from: 'oldest' });
  expect(reader.read()?.data.toString()).toBe('1');
  expect(readdirSync(dirname(path))).toEqual([basename(path)]);
});

test('replace through a symbolic link replaces what it leads to, wherever that is', async () => {
  const path = newPath();
  const far = join(path, 'far');
  mkdirSync(path);
  const [near, link] = [newPath(), newPath()];
  symlinkSync(far, near);
  symlinkSync(near, link);
  const old = await create('linear', far);
  old.writer.write('old');
  const options = { from: 'oldest', follow: true, deadAfterMs: 60_000 } as const;
  using reader = await Reader.open(far, options);
  using other = await Reader.open(link, options);
  old.crash();
  using writer = await Writer.create(link, {
    mode: 'linear',
    capacity: '64KiB',
    sync: 'commit',
    replace: true,
  });
  await writer.send('new');
  expect([writer.path, readlinkSync(link), readlinkSync(near)]).toEqual([link, near, far]);
  expect(readdirSync(path)).toEqual(['far']);
  expect(inspect(far).channelId).toBe(inspect(link).channelId);
  // By whichever name they came, readers go over to the new channel.
  for (const follower of [reader, other]) {
    const seen: string[] = [];
    for await (const record of follower) {
      seen.push(record.data.toString());
      if (seen.length === 2) break;
    }
    expect(seen).toEqual(['old', 'new']);
  }
  writer.close();
  // What one leads to is not made where it is not there: the name that is given is taken already.
  symlinkSync('nowhere', join(path, 'dangling'));
  expect(
    await failure(() => Writer.create(join(path, 'dangling'), { capacity: '64KiB', replace: true })),
  ).toMatchObject({ code: 'ERR_FORMAT', path: join(path, 'dangling') });
  expect(readdirSync(path)).toEqual(['dangling', 'far']);
});

test('a file has the permissions it was told, and is private by default', async () => {
  using plain = await Writer.create(newPath(), { capacity: '64KiB' });
  using shared = await Writer.create(newPath(), { capacity: '64KiB', fileMode: 0o640 });
  expect(statSync(plain.path).mode & 0o777).toBe(0o600);
  expect(statSync(shared.path).mode & 0o777).toBe(0o640);
  expect(statSync(plain.path).blocks * 512).toBeGreaterThanOrEqual(inspect(plain.path).fileBytes);
});

test('using closes writers and readers, also where something throws', async () => {
  let writer: Writer | undefined;
  let reader: Reader | undefined;
  await expect(async () => {
    using w = await Writer.create(newPath(), { capacity: '64KiB' });
    await using r = await Reader.open(w.path);
    [writer, reader] = [w, r];
    throw new RangeError('on purpose');
  }).rejects.toThrow(RangeError);
  expect(writer?.state).toBe('closed');
  expect(thrown(() => reader?.read()).code).toBe('ERR_CLOSED_HANDLE');
  await using third = await Writer.create(newPath(), { capacity: '64KiB' });
  expect(third.state).toBe('open');
});

test('after close every method of a reader says that it is closed, and lent bytes are gone', async () => {
  using writer = await Writer.create(newPath(), { mode: 'linear', capacity: '64KiB', timestamps: true });
  writer.write('x');
  const reader = await Reader.open(writer.path);
  let lent: Buffer | undefined;
  reader.poll((bytes) => {
    lent = bytes;
  });
  const iterator = reader[Symbol.asyncIterator]();
  const walk = reader.backwards();
  reader.close();
  expect(lent?.length).toBe(0);
  for (const use of [
    () => reader.read(),
    () => reader.readBatch(1),
    () => reader.poll(() => {}),
    () => reader.poll(() => {}, { limit: 1 }),
    () => reader.seek('oldest'),
    () => reader.backwards(),
    () => walk.next(),
    () => reader.status,
    () => reader.ended,
    () => reader.lag,
    () => reader.stats(),
    () => reader.recordTimestamp,
    () => reader.recordTag,
  ]) {
    expect([String(use), (await failure(use)).code]).toEqual([String(use), 'ERR_CLOSED_HANDLE']);
  }
  expect((await failure(() => iterator.next())).code).toBe('ERR_CLOSED_HANDLE');
  expect(writer.readers()).toEqual([]);
});

test('closed while it waits, an iteration ends', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  const reader = await Reader.open(writer.path);
  const reading = drain(reader);
  await delay(10);
  reader.close();
  expect(await reading).toEqual([]);
});

test('to ask whether the stream ended tells nothing that reading should', async () => {
  const { writer } = await create('ring');
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: false });
  for (let i = 0; i < 3000; i++) writer.write(String(i).padStart(100));
  expect([reader.ended, reader.ended]).toEqual([false, false]);
  const error = thrown(() => reader.read());
  expect(error.code).toBe('ERR_OVERTAKEN');
  expect(reader.read()?.record).toBe(error.lost);
  writer.close();
  reader.poll(() => {});
  expect(reader.ended).toBe(true);
});

test('a reader that is overtaken, and its channel closed, just as it is asked whether that has ended, is told by reading', async () => {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { gate: false });
  const { load } = Atomics;
  let isDone = false;
  // Between the look for a record and the one at the state.
  const loading = vi.spyOn(Atomics, 'load').mockImplementation(((words: Int32Array, index: number) => {
    if (index === L.STATE_OFFSET >> 2 && !isDone) {
      isDone = true;
      for (let n = 0; n < 100; n++) writer.write(Buffer.alloc(1000));
      writer.close();
    }
    return load(words, index);
  }) as typeof load);
  expect(reader.ended).toBe(false);
  loading.mockRestore();
  expect(isDone).toBe(true);
  const { code, lost = 0 } = thrown(() => reader.read());
  expect(code).toBe('ERR_OVERTAKEN');
  expect(reader.readBatch(1000)).toHaveLength(100 - lost);
  expect(reader.ended).toBe(true);
});

test('a follower that is overtaken just as its writer is taken for dead is told by reading, not by asking', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { gate: false, follow: true });
  // As if it had died, were resumed, and wrote.
  const dying = vi.spyOn(binding(), 'isByteLocked').mockImplementationOnce(() => {
    for (let n = 0; n < 100; n++) writer.write(Buffer.alloc(1000));
    return false;
  });
  expect(reader.ended).toBe(false);
  expect(dying).toHaveBeenCalled();
  dying.mockRestore();
  const { code, lost = 0 } = thrown(() => reader.read());
  expect(code).toBe('ERR_OVERTAKEN');
  expect(reader.readBatch(1000)).toHaveLength(100 - lost);
});
