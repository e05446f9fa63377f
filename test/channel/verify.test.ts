import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { MillraceError, Reader, verify, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { failure } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';

const RECORDS = 2000;
const FRAME = 128;

/** A channel of records that take 128 bytes each. */
async function make(options: object = {}, end: (writer: Writer) => void = (writer) => writer.close()) {
  const writer = await Writer.create(newPath(), {
    mode: 'linear',
    capacity: '512KiB',
    checksum: 'crc32c',
    ...options,
  });
  for (let n = 0; n < RECORDS; n++) writer.write(payloadOf(n, 112));
  end(writer);
  return writer.path;
}

function change(path: string, work: (bytes: Buffer, data: number) => void): void {
  const bytes = readFileSync(path);
  work(bytes, bytes.readInt32LE(L.DATA_OFFSET_OFFSET));
  writeFileSync(path, bytes);
}

/** Changes a mark, and has its checksum follow. */
function markAnew(bytes: Buffer, slot: number, work: (mark: number) => void): void {
  const mark = bytes.readInt32LE(L.MARKS_OFFSET_OFFSET) + slot * L.MARK_BYTES;
  work(mark);
  const summed = Buffer.concat([
    bytes.subarray(mark + L.MARK_POSITION_OFFSET, mark + L.MARK_CRC_OFFSET),
    bytes.subarray(L.INCARNATION_OFFSET, L.INCARNATION_OFFSET + 4),
  ]);
  bytes.writeInt32LE(binding().crc32c(summed, 0, summed.length, 0), mark + L.MARK_CRC_OFFSET);
}

describe('a sound channel', () => {
  test('that is closed: all of it was looked at', async () => {
    const path = await make();
    const shown: [number, number][] = [];
    const found = await verify(path, { onProgress: (done, total) => shown.push([done, total]) });
    expect(found).toEqual({
      path,
      sound: true,
      faults: [],
      status: 'closed',
      records: RECORDS,
      checked: RECORDS,
      from: 0,
      end: RECORDS * FRAME,
      marks: 8,
      durable: 0,
      cutOffAt: undefined,
    });
    expect(shown.at(-1)).toEqual([RECORDS * FRAME, RECORDS * FRAME]);
  });

  test('of any kind', async () => {
    const ring = { mode: 'ring', capacity: '64KiB' };
    for (const options of [{ checksum: 'none' }, { ...ring, checksum: 'none' }, ring]) {
      const { sound, status, checked } = await verify(await make(options));
      expect([sound, status]).toEqual([true, 'closed']);
      expect(checked > 0).toBe(!('checksum' in options));
    }
  });

  test('that is being written: as far as it has come, and nothing in it changes', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { heartbeatMs: 60_000 }));
    for (let n = 0; n < RECORDS; n++) writer.write(payloadOf(n, 112));
    writer.heartbeat();
    const before = readFileSync(writer.path);
    expect(await verify(writer.path)).toMatchObject({ sound: true, status: 'alive', records: RECORDS });
    expect(readFileSync(writer.path).equals(before)).toBe(true);
    crash();
    expect(await verify(writer.path)).toMatchObject({ sound: true, status: 'dead', records: RECORDS });
  });

  test('that somebody goes on with meanwhile, however quickly: as far as it had come', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '4MiB' });
    const payload = Buffer.alloc(1000);
    const write = () => {
      for (let n = 0; n < 2 * RECORDS; n++) writer.write(payload);
    };
    write();
    // As if it had died, and were resumed right behind the first look.
    const dying = vi.spyOn(binding(), 'isByteLocked').mockReturnValueOnce(false);
    const stop = new AbortController();
    let calls = 0;
    const onProgress = () => {
      write();
      if (++calls === 100) stop.abort();
    };
    expect(await verify(path, { signal: stop.signal, onProgress })).toMatchObject({
      sound: true,
      status: 'dead',
    });
    dying.mockRestore();
  });

  test('what is thrown as its progress is told comes through, also what says something of the same file', async () => {
    const path = await make();
    for (const of of [newPath(), path]) {
      const odd = new MillraceError('ERR_CORRUPT', 'read in there', { path: of });
      const onProgress = () => {
        throw odd;
      };
      expect(await failure(() => verify(path, { onProgress }))).toBe(odd);
    }
  });

  test('leaves the event loop turns, and can be stopped', async () => {
    const writer = await Writer.create(newPath(), { mode: 'linear', capacity: '8MiB' });
    while (writer.tryWrite(Buffer.alloc(100)) > 0);
    writer.close();
    const gone = new AbortController();
    setImmediate(() => gone.abort());
    expect(await failure(() => verify(writer.path, { signal: gone.signal }))).toMatchObject({
      code: 'ERR_ABORTED',
    });
  });
});

describe('faults', () => {
  test('are all found, each with its place', async () => {
    const path = await make();
    change(path, (bytes, data) => {
      bytes[data + 10 * FRAME + 50] ^= 1; // a payload
      bytes[data + 500 * FRAME + L.FRAME_KIND_OFFSET] = 99;
      bytes.writeInt32LE(-5, data + 1000 * FRAME);
      bytes.writeInt32LE(7, data + 1500 * FRAME + L.FRAME_CRC_OFFSET);
    });
    const { sound, faults, records } = await verify(path);
    expect(sound).toBe(false);
    expect(faults.map(({ code, position, next }) => ({ code, position, next }))).toEqual(
      [10, 500, 1000, 1500].map((n) => ({
        code: 'ERR_CORRUPT',
        position: n * FRAME,
        next: (n + 1) * FRAME,
      })),
    );
    expect(records).toBe(RECORDS - 4);
  });

  test('are not found in a mark that names a damaged record, or lies within what is passed over', async () => {
    for (const timestamps of [false, true]) {
      const writer = await Writer.create(newPath(), { mode: 'linear', checksum: 'crc32c', timestamps });
      // Each takes up two strides: most marks name one of them, and some the one behind.
      for (let n = 0; n < 20; n++) writer.write(payloadOf(n, 100_000), { type: n });
      const { path, position } = writer;
      writer.close();
      const frame = position / 20;
      change(path, (bytes, data) => {
        for (const n of [0, 5, 6]) bytes[data + n * frame + 500] ^= 1;
      });
      expect((await verify(path)).faults).toMatchObject(
        [0, 5, 6].map((n) => ({ message: expect.stringContaining('is damaged'), position: n * frame })),
      );
    }
  });

  test('of a mark that is wrong about a damaged record', async () => {
    const path = await make();
    change(path, (bytes, data) => {
      bytes[data + 256 * FRAME + 50] ^= 1;
      markAnew(bytes, 1, (mark) => bytes.writeInt32LE(255, mark + L.MARK_RECORD_OFFSET));
      // A place within the record before it.
      markAnew(bytes, 2, (mark) => bytes.writeInt32LE(255 * 8 + 1, mark + L.MARK_POSITION_OFFSET));
    });
    const position = 256 * FRAME;
    expect((await verify(path)).faults.map(({ message, position }) => [position, message])).toEqual([
      [255 * FRAME + 16, expect.stringContaining('A mark')],
      [position, expect.stringContaining('is damaged')],
      [position, expect.stringContaining('A mark')],
    ]);
  });

  test('of marks', async () => {
    const path = await make();
    change(path, (bytes) => {
      const marks = bytes.readInt32LE(L.MARKS_OFFSET_OFFSET);
      bytes[marks + 3 * L.MARK_BYTES + L.MARK_RECORD_OFFSET] ^= 1;
    });
    const { faults, marks } = await verify(path);
    expect(faults).toMatchObject([{ code: 'ERR_CORRUPT', position: 3 * 32768 }]);
    expect(marks).toBe(7);
  });

  test('of a mark that is whole and names the wrong record', async () => {
    const [path, other] = [await make(), await make({}, (writer) => writer.close())];
    change(path, (bytes) => markAnew(bytes, 3, (mark) => bytes.writeInt32LE(1, mark + L.MARK_RECORD_OFFSET)));
    expect((await verify(path)).faults).toMatchObject([{ code: 'ERR_CORRUPT', position: 3 * 32768 }]);
    expect((await verify(other)).sound).toBe(true);
  });

  test('of the end', async () => {
    const path = await make();
    change(path, (bytes, data) => bytes.fill(0, data + 1900 * FRAME));
    // The tail tells that records were there, and the final position that the end is missing.
    const { faults } = await verify(path);
    expect(faults).toMatchObject([
      { code: 'ERR_CORRUPT', position: 1900 * FRAME },
      { code: 'ERR_CORRUPT', position: RECORDS * FRAME },
    ]);
    change(path, (bytes) => bytes.writeInt32LE((1900 * FRAME) / 16, L.TAIL_OFFSET + 4));
    expect((await verify(path)).faults).toMatchObject([{ code: 'ERR_TRUNCATED', position: 1900 * FRAME }]);
  });

  test('of how it says that it ended', async () => {
    const end = RECORDS * FRAME;
    const changes: [(bytes: Buffer, data: number) => void, RegExp][] = [
      [(bytes, data) => bytes.writeInt32LE(0, data + end), /ends with nothing/],
      [(bytes) => bytes.writeInt32LE(L.STATE_SEALED, L.STATE_OFFSET), /sealed, and ends with END/],
      [(bytes) => bytes.writeInt32LE(77, L.STATE_OFFSET), /no state 77/],
      [(bytes) => bytes.writeInt32LE(end / 16 - 8, L.FINAL_POSITION_OFFSET + 4), /goes on behind it/],
      [(bytes) => bytes.writeInt32LE(end / 16 + 8, L.DURABLE_OFFSET + 4), /was synced up to/],
      [(bytes) => bytes.writeInt32LE(end / 16 + 1, L.TAIL_OFFSET + 4), /its tail is at/],
      [(bytes) => bytes.writeInt32LE(L.STATE_ABANDONED, L.STATE_OFFSET), /abandoned, and ends with END/],
    ];
    for (const [work, message] of changes) {
      const path = await make();
      change(path, work);
      const { sound, faults } = await verify(path);
      expect(sound).toBe(false);
      expect(faults[0].message).toMatch(message);
    }
  });

  test('of what was abandoned though its writer had ended it', async () => {
    const abandon = (bytes: Buffer) => bytes.writeInt32LE(L.STATE_ABANDONED, L.STATE_OFFSET);
    const restart = (bytes: Buffer) => bytes.fill(7, L.WRITER_BOOT_OFFSET, L.WRITER_BOOT_OFFSET + 16);
    const ring = { mode: 'ring', capacity: '64KiB' };
    for (const options of [{ checksum: 'none' }, { ...ring, checksum: 'none' }, ring]) {
      for (const [word, end] of [
        ['END', (writer: Writer) => writer.close()],
        ['LINK', (writer: Writer) => writer.seal()],
      ] as const) {
        const path = await make(options, end);
        change(path, abandon);
        const told = [{ code: 'ERR_CORRUPT', message: expect.stringContaining(`and ends with ${word}`) }];
        expect((await verify(path)).faults).toMatchObject(told);
        change(path, restart);
        expect((await verify(path)).faults).toMatchObject(told);
      }
    }
  });

  test('of words that can’t be', async () => {
    const path = await make({ mode: 'ring', capacity: '64KiB' });
    change(path, (bytes) => {
      bytes[L.TAIL_OFFSET + 3] = 0xff;
      bytes[L.TAIL_OFFSET + 11] = 0xff;
    });
    expect((await verify(path)).sound).toBe(false);
  });

  test('of the header, and of what is no channel', async () => {
    const path = await make();
    change(path, (bytes) => {
      bytes[L.CAPACITY_OFFSET] ^= 1;
    });
    expect(await verify(path)).toMatchObject({
      sound: false,
      status: undefined,
      faults: [{ code: 'ERR_FORMAT', position: undefined }],
    });
    writeFileSync(path, 'nothing of the kind');
    expect((await verify(path)).faults).toMatchObject([{ code: 'ERR_FORMAT' }]);
    const short = await make();
    writeFileSync(short, readFileSync(short).subarray(0, statSync(short).size - 4096));
    expect((await verify(short)).faults).toMatchObject([{ code: 'ERR_TRUNCATED' }]);
  });

  test('a channel that is not there is an error', async () => {
    expect(await failure(() => verify(newPath()))).toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(await failure(() => verify(newPath(), { progress: 1 } as object))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      meant: 'onProgress',
    });
  });
});

test('a reader of a closed channel whose END is a lie is told', async () => {
  const path = await make({ checksum: 'none' });
  change(path, (bytes, data) => {
    bytes[data + 100 * FRAME + L.FRAME_KIND_OFFSET] = L.KIND_END;
  });
  using reader = await Reader.open(path);
  expect(reader.readBatch(RECORDS)).toHaveLength(100);
  expect(() => reader.ended).toThrow(
    expect.objectContaining({ code: 'ERR_TRUNCATED', position: 100 * FRAME }),
  );
  expect(await verify(path)).toMatchObject({ sound: false, faults: [{ code: 'ERR_TRUNCATED' }] });
});
