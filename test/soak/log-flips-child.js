/** Flips a bit of a closed log. Started by `runLogFlips`; arguments of its own: how many bits of how many. */
import { join } from 'node:path';
import * as L from '../../dist/channel/layout.js';
import { bitOf, checkBits } from './bits.js';
import { count, directory, note, runCases } from './cases.js';
import { makeLog, putDown, tryLog } from './damaged-log.js';

const DATA = L.DATA_ALIGN;

const log = await makeLog(join(directory, 'log'), { segment: '16KiB', compression: 'deflate' }, (log) => {
  for (let i = 0; log.segments().length < 2; i++) {
    log.append({
      key: `key ${i % 5}`,
      value: `value ${i}`.repeat(1 + (i % 20)),
      headers: [['name', `${i}`]],
    });
    if (i % 10 === 0)
      log.appendBatch(Array.from({ length: 8 }, (_, n) => `${n} of ${i}, and of many others`));
  }
  for (let i = 0; i < 40; i++) log.append(`the last ones: ${i}`);
});
const files = [...log.files];
checkBits(files.reduce((sum, [, bytes]) => sum + bytes.length, 0));
/** Of each segment: what a byte belongs to, and the records that it may take along. */
const places = new Map(log.bases.map((base, i) => [files[i][0], placesOf(files[i][1], base)]));

function placesOf(bytes, base) {
  const names = new Array(bytes.length).fill('unused');
  names.fill('static part', 0, L.STATIC_BYTES).fill('mutable words', L.STATIC_BYTES, L.HEADER_BYTES);
  const hits = new Array(bytes.length).fill(undefined);
  let next = base;
  for (let at = DATA; at + L.FRAME_HEADER_EXTENDED <= bytes.length; ) {
    const length = bytes.readInt32LE(at);
    if (length === 0) break;
    const isRecord = bytes[at + L.FRAME_KIND_OFFSET] === L.KIND_DATA;
    names.fill(isRecord ? 'records' : 'other frames', at, at + length);
    if (isRecord) {
      const last = Number(bytes.readBigUInt64LE(at + L.FRAME_TAG_OFFSET));
      const offsets = new Set(Array.from({ length: last + 1 - next }, (_, i) => next + i));
      hits.fill(offsets, at, at + length);
      next = last + 1;
    }
    at += (length + 15) & -16;
  }
  return { names, hits };
}

const NONE = new Set();

await runCases(async (index, random) => {
  const bit = bitOf(index, random);
  let byte = bit >> 3;
  const [name] = files.find(([, { length }]) => {
    const isThere = byte < length;
    if (!isThere) byte -= length;
    return isThere;
  });
  const area = places.get(name)?.names[byte] ?? name;
  note(`bit ${bit & 7} of byte ${byte} of ${name} (${area})`);
  putDown(log, (file, bytes) => {
    if (file !== name) return bytes;
    const flipped = Buffer.from(bytes);
    flipped[byte] ^= 1 << (bit & 7);
    return flipped;
  });
  const hit = places.get(name)?.hits[byte] ?? NONE;
  count(`${area}: ${await tryLog(log, hit, area === 'records' || area === 'static part')}`);
});
