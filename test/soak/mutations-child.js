/** Damages channels and uses them. Started by `runMutations`. */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { declareAbandoned, inspect, MillraceError, Reader, verify, Writer } from '../../dist/index.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { attempt, codeOf, count, directory, note, runCases, Wrong } from './cases.js';
import { forge, mutate } from './mutate.js';
import { Filler, framesOf, layoutOf, makeTemplate, optionsOf } from './templates.js';
import { Account, Truth } from './truth.js';
import { hasEnded, WAYS } from './ways.js';

const SHAPES = [];
for (const mode of ['ring', 'linear']) {
  for (const timestamps of [false, true]) {
    for (const ending of ['closed', 'sealed', 'dead', 'live']) {
      for (const checksums of [false, true]) {
        SHAPES.push({ mode, timestamps, ending, checksums, sizes: 'small', fills: false });
      }
    }
  }
}
for (const timestamps of [false, true]) {
  for (const ending of ['closed', 'sealed', 'dead', 'cut off', 'torn']) {
    SHAPES.push({ mode: 'linear', timestamps, ending, checksums: true, sizes: 'large', fills: true });
  }
  for (const ending of ['cut off', 'torn']) {
    SHAPES.push({ mode: 'linear', timestamps, ending, checksums: true, sizes: 'small', fills: false });
  }
  SHAPES.push({ mode: 'ring', timestamps, ending: 'closed', checksums: true, sizes: 'large', fills: false });
}
const WAY_NAMES = Object.keys(WAYS);

function nameOf({ mode, timestamps, checksums, sizes, ending }) {
  const what = [mode, timestamps && 'timestamps', checksums && 'checksums', sizes, ending];
  return `${what.filter((word) => word !== false).join(' ')}: `;
}

/** A channel as one case uses it: what it was made of, and what is known of it. */
class Channel {
  constructor(path, template, random) {
    Object.assign(this, { path, random, template, ...template });
    this.name = nameOf(template.shape);
    /** Undefined where nothing says which records are as they were written. */
    this.truth = undefined;
    this.isCutOff = template.shape.ending === 'cut off' || template.shape.ending === 'torn';
    /** Whether a writer of this process has it. */
    this.isLive = template.shape.ending === 'live';
  }

  /** Looks at what its file says now of which records are true. */
  learn() {
    this.truth = new Truth(this.template, readFileSync(this.path));
  }
}

/** Reads on to the end, and holds what comes against the truth. */
async function readOn(reader, way, account) {
  const see = (record) => account.see(record);
  try {
    await WAYS[way](reader, see);
    if (hasEnded(reader, see)) account.isAtEnd();
    account.isAtRest();
  } catch (error) {
    count(codeOf(error));
    account.told = true;
    return;
  } finally {
    count('records', account.handed);
    account.handed = 0;
  }
  if (!account.told) count('read to the end');
}

/** Goes on behind what is damaged. Each step must move on, so that this ends. */
function walkOn(reader, account, channel) {
  const most = channel.layout.capacity / 16 + 64;
  for (let steps = 0; ; steps++) {
    if (steps > most) throw new Wrong('a walk without an end');
    try {
      const record = reader.read();
      if (record === undefined) break;
      account.see(record);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      count(error.code);
      account.told = true;
      if (error.code === 'ERR_OVERTAKEN' || error.code === 'ERR_EVICTED') {
        account.moved();
        if (error.code === 'ERR_EVICTED') reader.seek('oldest');
        continue;
      }
      if (error.code !== 'ERR_CORRUPT') throw error;
      if (error.next === undefined || !Number.isSafeInteger(error.next)) break;
      if (!(error.next > error.position)) throw new Wrong(`damage at ${error.position}, next ${error.next}`);
      reader.seek(error.next);
    }
  }
  count('records', account.handed);
}

const FROM = ['oldest', 'latest', 'record', 'position', 'time', 'damage'];

function place(kind, { records, shape }, random) {
  const some = records[random(records.length)];
  if (kind === 'record') return { record: random(records.length + 3) };
  if (kind === 'position') return random(8) === 0 ? records.at(-1).position : some.position;
  if (kind === 'damage') return random(2 ** 20) * 16;
  if (kind === 'time') return shape.timestamps ? { time: { us: some.timestamp + random(3) - 1 } } : 'oldest';
  return kind;
}

/** The number of the record that has to be read first at a place that was found, where that is known. */
function firstAt(where, { records, truth, shape }) {
  if (where === undefined || !truth?.isWhole || shape.mode === 'ring') return undefined;
  const first = numberAt(where, records);
  const goal = records[first]?.position ?? Number.POSITIVE_INFINITY;
  // Of a spoiled record nobody knows the time: where those behind it are earlier, it is taken for earlier, too.
  const isTaken = where.time !== undefined && records[first + 1]?.timestamp < where.time.us;
  const isToldByOthers = truth.spoiledFrom === truth.spoiledTo && !isTaken;
  return truth.spoiledFrom > goal || isToldByOthers ? first : undefined;
}

function numberAt(where, records) {
  if (where === 'oldest') return 0;
  if (where === 'latest') return records.length;
  if (typeof where === 'number') return firstWhere(records, ({ position }) => position >= where);
  if (where.record !== undefined) return where.record;
  return firstWhere(records, ({ timestamp }) => timestamp >= where.time.us);
}

function firstWhere(records, is) {
  const found = records.findIndex(is);
  return found < 0 ? records.length : found;
}

async function lookThrough({ path, name, truth }) {
  await attempt(`${name}inspect`, () => inspect(path));
  await attempt(`${name}verify`, async () => {
    const { sound } = await verify(path);
    if (sound && truth?.isWhole && truth.isSpoiled) throw new Wrong('it is spoiled, and said to be sound');
    count(sound ? 'sound' : 'not sound');
  });
}

async function readSomehow(channel) {
  const { random, path, shape, truth } = channel;
  const gate = [undefined, true, false, { evictAfterMs: 1 + random(100) }][random(4)];
  const verify = [true, true, true, undefined][random(4)];
  const options = {
    gate,
    verify,
    onLost: random(2) === 0 ? 'skip' : 'throw',
    from: random(2) === 0 ? 'oldest' : place(FROM[random(6)], channel, random),
    deadAfterMs: 0,
  };
  if (gate === false && random(2) === 0) options.register = false;
  const isSkipping = options.onLost === 'skip' && shape.mode === 'ring';
  // A reader that verifies is held against the truth; others are not known to tell it.
  const verifies = verify === true || truth?.isCutOff === true;
  const newAccount = (where) => {
    const { capacity } = channel.layout;
    const account = new Account(capacity, verifies ? truth : undefined, firstAt(where, channel));
    account.told = isSkipping;
    return account;
  };
  await attempt(`${channel.name}open ${JSON.stringify(options)}`, async () => {
    const reader = await Reader.open(path, options);
    try {
      const way = pickWay(channel);
      note(`${channel.name}read on by ${way} from ${JSON.stringify(options.from)}`);
      await readOn(reader, way, newAccount(options.from));
      for (let i = 0; i < 3; i++) {
        const where = place(FROM[random(6)], channel, random);
        await attempt(`${channel.name}seek ${JSON.stringify(where)}`, async () => {
          reader.seek(where);
          await readOn(reader, pickWay(channel), newAccount(where));
        });
      }
      await attempt(`${channel.name}walk on behind damage`, () => {
        reader.seek('oldest');
        walkOn(reader, newAccount(), channel);
      });
      await attempt(`${channel.name}backwards`, () => readBackwards(reader, channel, newAccount));
      await attempt(`${channel.name}facts`, () => [reader.status, reader.lag, reader.ended, reader.stats()]);
    } finally {
      reader.close();
    }
  });
}

/** Nobody waits for a writer that lives in this very process. */
function pickWay({ random, isLive }) {
  const ways = isLive ? WAY_NAMES.filter((way) => way !== 'iterate') : WAY_NAMES;
  return ways[random(ways.length)];
}

function readBackwards(reader, { layout }, newAccount) {
  let before = Number.POSITIVE_INFINITY;
  let steps = 0;
  for (const record of reader.backwards()) {
    const { position } = record;
    if (Number.isSafeInteger(position) && !(position < before))
      throw new Wrong(`backwards from ${before} to ${position}`);
    before = position;
    if (++steps > layout.capacity / 16) throw new Wrong('backwards without an end');
    newAccount().see(record);
  }
  count('read backwards');
}

async function useWriter(writer, channel) {
  const { random } = channel;
  for (let i = 0; i < 5; i++) {
    await attempt('write', () => writer.write(Buffer.alloc(random(3000))));
    await attempt('write a batch', () => writer.writeBatch(['a', Buffer.alloc(random(100)), 'c']));
    await attempt('claim', () => writer.claim(random(3000))?.commit());
  }
  await attempt('heartbeat', () => [writer.heartbeat(), writer.readers(), writer.stats(), writer.remaining]);
  if (channel.shape.mode === 'linear') await attempt('flush', () => writer.flush());
}

/** What was resumed takes another record, and that is read back. */
async function resume(channel) {
  const { path, truth } = channel;
  let writer;
  channel.truth = undefined;
  await attempt(`${channel.name}resume`, async () => {
    writer = await Writer.resume(path);
    channel.isLive = true;
    if (truth?.isCutOff) await checkHealed(channel, truth, writer);
    const data = Buffer.from(`written behind ${writer.position}`);
    const position = writer.write(data, 12345);
    count('records written behind');
    const reader = await Reader.open(path, { from: position, gate: false, verify: true });
    try {
      const record = reader.read();
      const isTheSame = record?.type === 12345 && record.data.equals(data);
      if (!isTheSame) throw new Wrong(`at ${position} is ${record?.data}`);
      count('records read back');
    } finally {
      reader.close();
    }
    await useWriter(writer, channel);
  });
  return writer;
}

/** All that is left is what was written, from the first record on without a gap, and can be read. */
async function checkHealed(channel, truth, { recovery }) {
  const { path, layout } = channel;
  note(`${channel.name}read what was healed`);
  const reader = await Reader.open(path, { gate: false, verify: true });
  try {
    const account = new Account(layout.capacity, new Truth(channel.template, readFileSync(path)));
    for (let record = reader.read(); record !== undefined; record = reader.read()) account.see(record);
    if (reader.position !== recovery.position || reader.recordNumber !== recovery.records) {
      throw new Wrong(
        `it was healed up to ${JSON.stringify(recovery)}, and can be read up to ${reader.position}`,
      );
    }
    const next = truth.records.find(({ position }) => position >= recovery.position);
    if (next !== undefined && next.batch < recovery.position) {
      throw new Wrong(`it was healed up to ${recovery.position}, within the batch at ${next.batch}`);
    }
    if (recovery.position < truth.wholeUpTo || recovery.position < truth.durable) {
      throw new Wrong(
        `it was healed up to ${recovery.position}: whole was ${truth.wholeUpTo}, synced ${truth.durable}`,
      );
    }
    count(recovery.dropped > 0 ? 'healed of a torn end' : 'healed');
  } catch (error) {
    if (error instanceof MillraceError) throw new Wrong(`healed, and ${error.stack}`);
    throw error;
  } finally {
    reader.close();
  }
}

async function runCase(index, random) {
  const template = templates[index % templates.length];
  const { shape } = template;
  const path = join(directory, `channel-${index}`);
  const channel = new Channel(path, template, random);
  let writer;
  try {
    note(`${channel.name}make`);
    if (channel.isLive) writer = await writeLive(channel);
    else writeFileSync(path, damage(channel, Buffer.from(template.bytes), template).bytes);
    await lookThrough(channel);
    await readSomehow(channel);
    if (channel.isLive) {
      await useWriter(writer, channel);
      await readSomehow(channel);
      await attempt('close', () => (random(2) === 0 ? writer.close() : writer.seal()));
    } else if (shape.ending === 'dead' || channel.isCutOff || random(4) === 0) {
      writer = await takeOver(channel);
    }
    await lookThrough(channel);
    await readSomehow(channel);
    note('clean up');
  } finally {
    writer?.close();
    rmSync(path, { force: true });
  }
}

/** Spoils it, and says what its readers still have to tell truly: nothing, where the header's own checksum was forged. */
function damage(channel, bytes, { layout, frames, images }) {
  const { random } = channel;
  const changed = [];
  for (let times = 1 + random(3); times > 0; times--) {
    changed.push(...mutate(bytes, { layout, frames }, images, random));
  }
  const isForged = random(50) === 0;
  if (isForged) changed.push(...forge(bytes, layout, random));
  else if (channel.shape.checksums && !channel.isLive) channel.truth = new Truth(channel.template, bytes);
  return { bytes, changed };
}

/** A channel that is being written, damaged under its writer. */
async function writeLive(channel) {
  const { path, shape, random } = channel;
  const writer = await Writer.create(path, optionsOf(shape));
  const filler = new Filler(writer, shape, random);
  const images = [];
  await filler.fill(() => images.push(readFileSync(path)));
  const bytes = readFileSync(path);
  const layout = layoutOf(bytes);
  const frames = framesOf(bytes, layout, shape.mode, filler.records);
  channel.records = filler.records;
  const { changed } = damage(channel, bytes, { layout, frames, images });
  const file = openSync(path, 'r+');
  for (const [start, length] of changed) writeSync(file, bytes, start, length, start);
  closeSync(file);
  return writer;
}

/** What others may do to a channel that no writer holds. Returns the writer that goes on with it, if any. */
async function takeOver(channel) {
  const { path, random, shape } = channel;
  const way = random(8);
  if (way === 0) {
    channel.truth = undefined;
    await attempt(`${channel.name}replace`, async () => {
      (await Writer.create(path, { ...optionsOf(shape), replace: true })).close();
    });
    return undefined;
  }
  if (way > 2) return resume(channel);
  const isKnown = channel.truth?.isCutOff;
  if (await attempt(`${channel.name}abandon`, () => declareAbandoned(path))) count('abandoned');
  // Of a writer that only died, all that it committed is taken as it is, checksums or not.
  if (isKnown) channel.learn();
  else channel.truth = undefined;
  return undefined;
}

const templates = [];
for (const [i, shape] of SHAPES.entries()) {
  if (shape.ending === 'live') templates.push({ shape, layout: { capacity: 2 ** 20 }, records: [] });
  else templates.push(await makeTemplate(join(directory, 'template'), shape, randomOf(i + 1)));
}
await runCases(runCase);
