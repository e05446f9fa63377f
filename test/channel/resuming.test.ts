import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Marks } from '../../lib/channel/file/index.js';
import * as L from '../../lib/channel/layout.js';
import { Reader, verify, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const MODES = ['ring', 'linear'] as const;
const UNTOLD = { capacity: '64KiB', heartbeatMs: 60_000 } as const;
const TIME = Date.UTC(2026, 0, 1);

/** What a channel is left as, if its writer dies now. */
function leave(path: string): string {
  const copy = newPath();
  copyFileSync(path, copy);
  return copy;
}

/** What is left by a writer that dies in `work` before it has set its `nth` mark from then on. */
function dyingAtMark(path: string, nth: number, work: () => void): string {
  const write = Marks.prototype.write;
  let [copy, marks] = ['', 0];
  vi.spyOn(Marks.prototype, 'write').mockImplementation(function (this: Marks, ...given) {
    if (++marks === nth) copy = leave(path);
    write.apply(this, given);
  });
  work();
  vi.restoreAllMocks();
  expect(copy).not.toBe('');
  return copy;
}

describe.each(MODES)('a %s channel whose first mark was not set', (mode) => {
  const create = () => Writer.create(newPath(), { mode, timestamps: true, ...UNTOLD });

  test('has its largest time from its records, also where who resumed it wrote nothing', async () => {
    using first = await create();
    const dead = dyingAtMark(first.path, 1, () =>
      first.write(Buffer.alloc(6000), { timestamp: TIME, tag: 1 }),
    );
    using second = await Writer.resume(dead);
    const deadAgain = leave(second.path);
    using third = await Writer.resume(deadAgain);
    for (let n = 2; n < 12; n++) third.write(Buffer.alloc(1000), { timestamp: TIME + n, tag: n });
    third.heartbeat();
    using reader = await Reader.open(deadAgain, { from: { time: TIME }, gate: false });
    expect(reader.read()?.tag).toBe(1);
    expect(await verify(deadAgain)).toMatchObject({ sound: true, records: 11 });
  });

  test('has the number of its records from them, also where who resumed it died before it stored the tail', async () => {
    using first = await create();
    const dead = dyingAtMark(first.path, 1, () => first.write('first'));
    const bytes = readFileSync(dead);
    bytes.writeInt32LE(1, L.RECORD_COUNT_OFFSET + 4);
    writeFileSync(dead, bytes);
    using writer = await Writer.resume(dead);
    expect(writer.recovery?.records).toBe(1);
    writer.write('second');
    using reader = await Reader.open(dead, { from: 'latest', gate: false });
    expect(reader.recordNumber).toBe(2);
  });
});
