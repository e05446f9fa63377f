/**
 * Flips a bit of a closed channel with checksums, reads all of it, and sets the bit right again. Started by `runFlips`;
 * arguments of its own: how many bits of how many.
 */
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import * as L from '../../dist/channel/layout.js';
import { Reader } from '../../dist/index.js';
import { bitOf, checkBits } from './bits.js';
import { codeOf, count, directory, note, runCases, Wrong } from './cases.js';
import { makeClosed } from './templates.js';
import { Account, Truth } from './truth.js';
import { hasEnded, WAYS } from './ways.js';

const WAY_NAMES = Object.keys(WAYS);
const path = join(directory, 'flipped');
const template = await makeClosed(path);
const { bytes, layout, records, frames } = template;
checkBits(bytes.length);
writeFileSync(path, bytes);
const file = openSync(path, 'r+');
const flipped = Buffer.from(bytes);
/** Header and reader table: readers change them. */
const head = bytes.subarray(0, layout.metadataOffset);

/** What a byte belongs to. */
const areas = areasOf();

function areasOf() {
  const names = new Array(bytes.length).fill('rest of the data');
  const mark = (name, from, to) => names.fill(name, from, to);
  mark('static part', 0, L.STATIC_BYTES);
  mark('mutable words', L.STATIC_BYTES, L.HEADER_BYTES);
  mark('reader table', layout.readersOffset, layout.metadataOffset);
  mark('metadata', layout.metadataOffset, layout.marksOffset);
  mark('marks', layout.marksOffset, layout.marksEnd);
  mark('unused', layout.marksEnd, layout.dataOffset);
  for (const { at, length, kind } of frames) {
    mark(kind === L.KIND_DATA ? 'records' : kind === L.KIND_END ? 'END' : 'CHECKPOINTs', at, at + length);
    mark('padding', at + length, at + ((length + 15) & -16));
  }
  return names;
}

/** What is under a checksum that is looked at whenever it is read. */
const SUMMED = ['static part', 'metadata', 'records', 'CHECKPOINTs'];

const WHOLE = 'all of it read';

await runCases(async (index, random) => {
  const at = bitOf(index, random);
  const byte = at >> 3;
  const way = WAY_NAMES[byte % WAY_NAMES.length];
  const area = areas[byte];
  note(`bit ${at & 7} of byte ${byte} (${area}), read by ${way}`);
  flipped[byte] ^= 1 << (at & 7);
  writeSync(file, flipped, byte, 1, byte);
  try {
    const result = await readFlipped(way, random);
    if (result === WHOLE && SUMMED.includes(area)) throw new Wrong('it was not noticed');
    count(`${area}: ${result}`);
  } finally {
    flipped[byte] = bytes[byte];
    writeSync(file, bytes, byte, 1, byte);
    writeSync(file, head, 0, head.length, 0);
  }
});

/** Reads it from the first record to the last, and then goes to a record and to the end. Returns what came of the first. */
async function readFlipped(way, random) {
  const truth = new Truth(template, flipped);
  let reader;
  try {
    reader = await Reader.open(path, { verify: true, deadAfterMs: 0 });
  } catch (error) {
    return codeOf(error);
  }
  try {
    const result = await resultOf(() => readAll(reader, WAYS[way], truth));
    const record = random(records.length);
    count(`seek to a record: ${await resultOf(() => readOne(reader, record, truth))}`);
    count(`seek to the end: ${await resultOf(() => findEnd(reader))}`);
    return result;
  } finally {
    reader.close();
  }
}

async function resultOf(work) {
  try {
    return await work();
  } catch (error) {
    return codeOf(error);
  }
}

async function readAll(reader, read, truth) {
  const account = new Account(layout.capacity, truth, 0);
  const see = (record) => account.see(record);
  await read(reader, see);
  if (!hasEnded(reader, see)) throw new Wrong('there is neither an end of it nor an error');
  account.isAtEnd();
  return WHOLE;
}

function readOne(reader, record, truth) {
  reader.seek({ record });
  const found = reader.read();
  if (found === undefined) throw new Wrong(`there is no record ${record}, and no error`);
  new Account(layout.capacity, truth).see(found);
  if (found.record !== record) throw new Wrong(`record ${found.record} where ${record} was sought`);
  return 'read';
}

function findEnd(reader) {
  reader.seek('latest');
  const found = reader.read();
  if (found !== undefined) throw new Wrong(`record ${found.record} behind the last one`);
  if (!reader.ended) throw new Wrong('there is neither an end of it nor an error');
  return 'found';
}
