/**
 * Damages channels and uses them. Started by `runMutations`; arguments: directory, seed, first case, end.
 * Says before each step what it is about to do, so that its parent knows when it crashed or hung.
 */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { declareAbandoned, inspect, MillraceError, Reader, Writer } from '../../dist/index.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { die, keepingFiles } from './keeping-files.js';
import { mutate } from './mutate.js';

const NOTE_BYTES = 128;
const [directory, seedText, fromText, endText] = process.argv.slice(2);
const seed = Number(seedText);
const notes = openSync(join(directory, 'notes'), 'r+');
const outcomes = {};
let index = Number(fromText);

/** What a case found wrong. Everything else that is not a MillraceError is wrong, too. */
class Wrong extends Error {}

function note(doing) {
  writeSync(notes, `${index} ${doing}`.padEnd(NOTE_BYTES).slice(0, NOTE_BYTES), 0);
}

function count(outcome) {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}

const SHAPES = [];
for (const mode of ['ring', 'linear']) {
  for (const timestamps of [false, true]) {
    for (const ending of ['closed', 'sealed', 'dead', 'live']) SHAPES.push({ mode, timestamps, ending });
  }
}

function optionsOf({ mode, timestamps }) {
  return { mode, timestamps, capacity: mode === 'ring' ? 65536 : 32768, readers: 4, heartbeatMs: 60_000 };
}

/** Fills it as channels are filled: a ring more than once, a linear one up to three quarters. */
function fill(writer, mode, random) {
  const payload = Buffer.alloc(4096);
  const bytes = mode === 'ring' ? 65536 * 2 : 24576;
  for (let n = 0; writer.position < bytes; n++) {
    const length = random(10) === 0 ? random(4096) : random(120);
    for (let at = 0; at < length; at++) payload[at] = random(256);
    if (random(4) === 0)
      writer.writeBatch([payload.subarray(0, length), 'in a batch', { data: 'x', type: n & 0xff }]);
    else writer.write(payload.subarray(0, length), n & 0xffff);
  }
}

/** A channel's bytes, and where its frames start in them. */
async function makeTemplate(shape) {
  const path = join(directory, 'template');
  rmSync(path, { force: true });
  const random = randomOf(SHAPES.indexOf(shape) + 1);
  const made = await keepingFiles(() => Writer.create(path, optionsOf(shape)));
  const writer = made.result;
  const readers = [
    await keepingFiles(() => Reader.open(path, { gate: false, name: 'observer' })),
    await keepingFiles(() => Reader.open(path, { gate: { evictAfterMs: 1 }, name: 'evicted' })),
  ];
  if (shape.mode === 'ring') await passOn(readers[1].result, writer);
  fill(writer, shape.mode, random);
  readers.push(await keepingFiles(() => Reader.open(path, { name: 'gating' })));
  const all = await Reader.open(path, { gate: false, register: false, from: 'oldest' });
  const positions = all.readBatch(1e6).map(({ position }) => position);
  all.close();
  if (shape.ending === 'closed') writer.close();
  else if (shape.ending === 'sealed') writer.seal();
  const { capacity, tail } = inspect(path);
  positions.push(tail);
  for (const reader of readers) die(reader);
  die(made);
  const bytes = readFileSync(path);
  rmSync(path);
  const layout = { ...layoutOf(bytes), bytes: bytes.length };
  const frames = positions.map((position) => layout.dataOffset + (position % capacity));
  return { shape, bytes, layout, frames, positions, capacity };
}

/** Makes a reader stand in the writer's way until it is evicted. */
async function passOn(reader, writer) {
  for (let until = Date.now() + 200; Date.now() < until; ) {
    if (writer.tryWrite(Buffer.alloc(4000)) < 0) await new Promise((resolve) => setTimeout(resolve, 12));
    if (writer.stats().evictions > 0) return;
  }
  throw new Error(`The reader at ${reader.position} was not evicted`);
}

function layoutOf(bytes) {
  return {
    dataOffset: bytes.readInt32LE(76),
    readersOffset: bytes.readInt32LE(80),
    metadataOffset: bytes.readInt32LE(88),
    marksOffset: bytes.readInt32LE(96),
  };
}

/** Does it; a MillraceError is an answer. */
async function attempt(doing, work) {
  note(doing);
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof MillraceError) || typeof error.code !== 'string') throw error;
    count(error.code);
    return false;
  }
}

function checkRecord(record, template, after) {
  const { position, data } = record;
  if (!(position % 16 === 0 && position >= 0 && position > after)) {
    throw new Wrong(`a record at ${position} behind one at ${after}`);
  }
  if (!(data.length <= template.capacity)) throw new Wrong(`a record of ${data.length} bytes`);
  count('records');
  return position;
}

/** Reads to the end, going on behind what is damaged. Each step must move on, so that this ends. */
function walk(reader, template) {
  let after = -1;
  const most = template.capacity / 16 + 64;
  for (let steps = 0; ; steps++) {
    if (steps > most) throw new Wrong('a walk without an end');
    try {
      const record = reader.read();
      if (record === undefined) break;
      after = checkRecord(record, template, after);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      count(error.code);
      if (error.code === 'ERR_OVERTAKEN' || error.code === 'ERR_EVICTED') {
        after = -1;
        if (error.code === 'ERR_EVICTED') reader.seek('oldest');
        continue;
      }
      if (error.code !== 'ERR_CORRUPT') throw error;
      if (error.next === undefined) break;
      if (!(error.next > error.position)) throw new Wrong(`damage at ${error.position}, next ${error.next}`);
      reader.seek(error.next);
    }
  }
  return reader.ended;
}

const FROM = ['oldest', 'latest', 'record', 'position', 'time', 'damage'];

function place(kind, template, random) {
  const { positions, shape } = template;
  if (kind === 'record') return { record: random(positions.length * 2) };
  if (kind === 'position') return positions[random(positions.length)];
  if (kind === 'damage') return random(2 ** 20) * 16;
  if (kind === 'time') return shape.timestamps ? { time: Date.now() - random(2000) } : 'oldest';
  return kind;
}

async function readSomehow(path, template, random) {
  const gate = [undefined, true, false, { evictAfterMs: 1 + random(100) }][random(4)];
  const options = {
    gate,
    onLost: random(2) === 0 ? 'skip' : 'throw',
    from: place(FROM[random(6)], template, random),
  };
  if (gate === false && random(2) === 0) options.register = false;
  await attempt(`open ${JSON.stringify(options)}`, async () => {
    const reader = await Reader.open(path, options);
    try {
      await attempt('walk', () => walk(reader, template));
      for (let i = 0; i < 3; i++) {
        const where = place(FROM[random(6)], template, random);
        await attempt(`seek ${JSON.stringify(where)}`, () => {
          reader.seek(where);
          reader.poll((bytes, start, end) => {
            if (!(start >= 0 && end >= start && end <= bytes.length))
              throw new Wrong(`lent ${start} to ${end}`);
          }, 10);
        });
      }
      await attempt('backwards', () => {
        let before = Number.POSITIVE_INFINITY;
        let steps = 0;
        for (const { position } of reader.backwards()) {
          if (!(position < before)) throw new Wrong(`backwards from ${before} to ${position}`);
          before = position;
          if (++steps > template.capacity / 16) throw new Wrong('backwards without an end');
        }
        count('read backwards');
      });
      await attempt('facts', () => [reader.status, reader.lag, reader.ended, reader.stats()]);
    } finally {
      reader.close();
    }
  });
}

async function useWriter(writer, path, template, random) {
  for (let i = 0; i < 5; i++) {
    await attempt('write', () => writer.write(Buffer.alloc(random(3000))));
    await attempt('write a batch', () => writer.writeBatch(['a', Buffer.alloc(random(100)), 'c']));
    await attempt('claim', () => writer.claim(random(3000))?.commit());
  }
  await attempt('heartbeat', () => [writer.heartbeat(), writer.readers(), writer.stats(), writer.remaining]);
  await readSomehow(path, template, random);
}

async function runCase(templates) {
  const random = randomOf(Math.imul(seed, 0x9e3779b1) ^ index);
  const template = templates[index % templates.length];
  const { shape } = template;
  const path = join(directory, `channel-${index}`);
  const name = `${shape.mode}${shape.timestamps ? ' with timestamps' : ''}, ${shape.ending}: `;
  let writer;
  if (shape.ending === 'live') {
    note(`${name}create`);
    writer = await Writer.create(path, optionsOf(shape));
    fill(writer, shape.mode, random);
  }
  const bytes = shape.ending === 'live' ? readFileSync(path) : Buffer.from(template.bytes);
  const changed = [];
  for (let times = 1 + random(3); times > 0; times--) {
    changed.push(...mutate(bytes, template.layout, template.frames, random));
  }
  if (writer === undefined) {
    writeFileSync(path, bytes);
  } else {
    const file = openSync(path, 'r+');
    for (const [start, length] of changed) writeSync(file, bytes, start, length, start);
    closeSync(file);
  }
  try {
    await attempt(`${name}inspect`, () => inspect(path));
    await readSomehow(path, template, random);
    if (writer !== undefined) {
      await useWriter(writer, path, template, random);
      await attempt('close', () => (random(2) === 0 ? writer.close() : writer.seal()));
    } else if (shape.ending === 'dead' || random(4) === 0) {
      const way = random(4);
      if (way === 0) await attempt(`${name}abandon`, () => declareAbandoned(path));
      if (way === 1) {
        await attempt(`${name}replace`, async () => {
          (await Writer.create(path, { ...optionsOf(shape), replace: true })).close();
        });
      }
      if (way >= 2) {
        await attempt(`${name}resume`, async () => {
          writer = await Writer.resume(path);
          await useWriter(writer, path, template, random);
          writer.close();
        });
      }
    }
    await readSomehow(path, template, random);
  } finally {
    note('clean up');
    writer?.close();
    rmSync(path, { force: true });
  }
}

const templates = [];
for (const shape of SHAPES) templates.push(await makeTemplate(shape));
const atStart = process.memoryUsage().rss;
let failures = 0;
for (const end = Number(endText); index < end && failures < 20; index++) {
  try {
    await runCase(templates);
  } catch (error) {
    failures++;
    const doing = readFileSync(join(directory, 'notes'), 'latin1').trimEnd();
    const problem = error instanceof Error ? `${error.stack}` : String(error);
    process.send({ failure: { index, doing: doing.slice(doing.indexOf(' ') + 1), problem } });
  }
  if (index % 256 === 0) {
    const grown = process.memoryUsage().rss - atStart;
    if (grown > 2 ** 29) {
      process.send({ failure: { index, doing: 'all so far', problem: `memory grew by ${grown} bytes` } });
      break;
    }
  }
}
process.send({ outcomes, done: true }, () => process.disconnect());
