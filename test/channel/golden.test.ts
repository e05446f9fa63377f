import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { inspect, Reader, type ReaderRecord } from '../../lib/index.js';
import { BASE, FACTS, inFixedWorld, type Made, METADATA, RECIPES, type Written } from '../golden/recipes.js';
import { newPath } from '../helpers/run-directory.js';

// UPDATE_GOLDEN=1 writes the files anew: only for a format that changed on purpose.
const UPDATE = process.env.UPDATE_GOLDEN === '1';

const fileOf = (name: string) => new URL(`../golden/${name}.bin`, import.meta.url);

function firstDifference(a: Buffer, b: Buffer): string | undefined {
  if (a.length !== b.length) return `${a.length} bytes instead of ${b.length}`;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? undefined : `byte ${at}: ${a[at]} instead of ${b[at]}`;
}

/** A record with its bytes as text, which is compared much faster. */
function shown(record: ReaderRecord | Written | undefined) {
  const { data, value: _value, ...rest } = record as ReaderRecord;
  return { ...rest, data: data.toString('hex') };
}

describe.each(RECIPES)('$name.bin', ({ name, status, make }) => {
  let making: Promise<Made> | undefined;
  const made = () => {
    making ??= inFixedWorld(() => make(newPath()));
    return making;
  };

  /** The stored file, where it can be opened. */
  function stored(): string {
    const path = newPath();
    writeFileSync(path, readFileSync(fileOf(name)));
    return path;
  }

  test('is made again byte for byte', async () => {
    const { bytes } = await made();
    if (UPDATE) writeFileSync(fileOf(name), bytes);
    expect(firstDifference(bytes, readFileSync(fileOf(name)))).toBeUndefined();
  });

  test('is read as it was written, forwards, backwards and from anywhere', async () => {
    const { records, end } = await made();
    const path = stored();
    using reader = await Reader.open(path, { from: 'oldest', gate: false });
    expect(reader.status).toBe(status);
    const read = reader.readBatch(10_000);
    expect(read.length).toBeGreaterThan(20);
    if (name.startsWith('linear')) expect(read).toHaveLength(records.length);
    const kept = records.slice(-read.length);
    expect(read.map(shown)).toEqual(kept.map(shown));
    expect(reader.ended).toBe(true);
    expect(reader.position).toBe(end);
    expect([...reader.backwards()].map(shown)).toEqual(kept.toReversed().map(shown));
    for (let i = 0; i < kept.length; i += 7) {
      reader.seek(kept[i].position);
      expect(shown(reader.read())).toEqual(shown(kept[i]));
      reader.seek({ record: kept[i].record });
      expect(shown(reader.read())).toEqual(shown(kept[i]));
    }
  });

  test('says of itself what it was made with', async () => {
    const { records, end } = await made();
    const path = stored();
    const info = await inFixedWorld(async () => inspect(path));
    const based = name === 'ring-timestamps';
    expect(info).toMatchObject({
      path,
      status,
      mode: name.split('-')[0],
      capacity: name.startsWith('ring') ? 65536 : 16384,
      timestamps: based,
      basePosition: based ? BASE.position : 0,
      tail: end,
      finalPosition: end,
      records: records.length,
      writerPid: FACTS.pid,
      heartbeatMs: 60_000,
      heartbeatAgeMs: 0,
      stalledAfterMs: 5000,
      resumes: status === 'abandoned' ? 1 : 0,
      evictions: 0,
      channelId: FACTS.channelId,
      incarnation: FACTS.incarnation,
      created: FACTS.nowUs,
      sameBoot: true,
      metadata: name === 'ring-wrapped' || name === 'linear-closed' ? METADATA : {},
    });
  });
});

test('ring-wrapped.bin shows the readers that were there, and what the slow one lost', async () => {
  const path = newPath();
  writeFileSync(path, readFileSync(fileOf('ring-wrapped')));
  const { readers, refusals } = inspect(path);
  expect(refusals).toBeGreaterThan(5);
  expect(readers).toMatchObject([
    { slot: 0, name: 'billing', state: 'gating', pid: FACTS.pid, overtaken: 0, alive: false },
    { slot: 1, name: 'wätch', state: 'observing', pid: FACTS.pid, overtaken: 1, alive: false },
  ]);
  expect(readers[1].lostBytes).toBeGreaterThan(0);
});

test('ring-timestamps.bin is searched by time, also where the clock went back', async () => {
  const path = newPath();
  writeFileSync(path, readFileSync(fileOf('ring-timestamps')));
  using reader = await Reader.open(path, { from: 'oldest', gate: false });
  const read = reader.readBatch(10_000);
  const times = read.map((record) => record.timestamp as number);
  // Whether an older record came later already is not to be seen where that is overwritten.
  for (const time of times.filter((_, i) => i % 5 === 0 && times[i] > times[0])) {
    const first = read.find((record) => (record.timestamp as number) >= time);
    reader.seek({ time: { us: time } });
    expect(reader.read()?.record).toBe(first?.record);
  }
});

afterAll(() => {
  if (UPDATE) console.log(`Wrote ${RECIPES.length} golden files`);
});
