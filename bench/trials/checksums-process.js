// Passes of the addon over frames that lie in a file: checksums-process.js FOLDER PATH BYTES
//   fill RECORD           puts frames of such records into the file, and names it PATH the first time
//   sum LENGTH            one timed pass over the first LENGTH bytes, or what of them are whole frames
import * as L from '../../dist/channel/layout.js';
import { binding } from '../../dist/native.js';
import { answerTurns } from '../harness/listener.js';

const INCARNATION = 0x5eed;
const FILE_MODE = 0o600;

const [folder, path, bytes] = process.argv.slice(2);
const file = await binding().createFile(folder, Number(bytes), FILE_MODE, 0);
const memory = binding().mapFile(file);
const words = new Int32Array(memory);
binding().linkFile(file, path);

let frame = 0;
let payload = 0;

function fill(record) {
  payload = record;
  frame = (record + L.FRAME_HEADER + L.FRAME_ALIGN - 1) & -L.FRAME_ALIGN;
  let noise = 1;
  for (let i = 0; i < words.length; i++) {
    // Bytes that no compiler or processor could foresee.
    noise = Math.imul(noise, 1664525) + 1013904223;
    words[i] = noise;
  }
  for (let at = 0; at + frame <= memory.byteLength; at += frame) {
    const word = at >> 2;
    words[word] = record + L.FRAME_HEADER;
    words[word + 1] = L.KIND_DATA;
    words[word + 2] = at / L.FRAME_ALIGN;
    words[word + 3] = 0;
  }
  return { frame };
}

function sum(length) {
  const frames = Math.floor(length / frame);
  const end = frames * frame;
  for (let word = 3; word < end >> 2; word += frame >> 2) words[word] = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const stopped = binding().sumFrames(file, 0, end, 0, INCARNATION);
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  if (stopped !== end || words[3] === 0)
    throw new Error(`Checksums were filled in up to ${stopped}, not ${end}`);
  return { ms, cpuMs: (user + system) / 1000, bytes: end, payload: frames * payload };
}

answerTurns({ fill, sum });
