import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { floorProgram } from '../harness/floor.js';

const millrace = fileURLToPath(new URL('./millrace-process.js', import.meta.url));
const shmRing = fileURLToPath(new URL('../peers/shm-ring-process.js', import.meta.url));

/** What their readers do after an empty look: look again at once, or stay away for a while. */
const IDLES = { eager: 'eager', spin: 'eager', adaptive: 'backing off' };

let made = 0;
const freshName = () => `channel-${made++}`;
const freshKey = () => String(0x6d720000 + (process.pid % 0x1000) * 16 + (made++ % 16));

function oneWay(name, [writer, reader]) {
  return { name, kind: 'one-way', front: writer, back: reader };
}

function roundTrip(name, [ping, pong]) {
  return { name, kind: 'round-trip', front: ping, back: pong };
}

export function cOneWay(folder, size, batch, idle) {
  const program = floorProgram('channel');
  const path = join(folder, freshName());
  return oneWay(`C, ${IDLES[idle] ?? idle}`, [
    [program, 'writer', path, String(size), String(batch)],
    [program, 'reader', path, idle],
  ]);
}

export function cRoundTrip(folder, size, idle) {
  const program = floorProgram('channel');
  const [there, back] = [join(folder, freshName()), join(folder, freshName())];
  return roundTrip(`C, ${IDLES[idle] ?? idle}`, [
    [program, 'ping', there, back, String(size), idle],
    [program, 'pong', there, back, String(size), idle],
  ]);
}

/** `pauseMs`: how long the reader sleeps between two looks. */
export function millraceOneWay(folder, size, how, idle, pauseMs = 0) {
  const path = join(folder, freshName());
  return oneWay(`millrace, ${IDLES[idle]}`, [
    [process.execPath, millrace, 'writer', path, String(size), how],
    [process.execPath, millrace, 'reader', path, idle, String(pauseMs)],
  ]);
}

export function millraceRoundTrip(folder, size, idle) {
  const [there, back] = [join(folder, freshName()), join(folder, freshName())];
  return roundTrip(`millrace, ${IDLES[idle]}`, [
    [process.execPath, millrace, 'ping', there, back, String(size), idle],
    [process.execPath, millrace, 'pong', there, back, String(size), idle],
  ]);
}

const segments = new Set();
process.on('exit', () => remove([...segments]));

/**
 * Of a package. Two processes that leave at the same moment may each think that the other one removes the segment, and
 * those that are ended by a signal leave it to us; as no file it would stay for as long as the machine is up.
 */
function removing(keys, side) {
  for (const key of keys) segments.add(key);
  return { ...side, mayBeAbsent: true, cleanUp: () => remove(keys) };
}

function remove(keys) {
  for (const key of keys) segments.delete(key);
  const removals = keys.flatMap((key) => ['-M', key]);
  if (removals.length > 0) spawnSync('ipcrm', removals, { stdio: 'ignore' });
}

export function shmRingOneWay(_folder, size, batch) {
  const key = freshKey();
  const side = oneWay('shm-typed-array ring', [
    [process.execPath, shmRing, 'writer', key, String(size), String(batch)],
    [process.execPath, shmRing, 'reader', key],
  ]);
  return removing([key], side);
}

export function shmRingRoundTrip(_folder, size) {
  const [there, back] = [freshKey(), freshKey()];
  const side = roundTrip('shm-typed-array ring', [
    [process.execPath, shmRing, 'ping', there, back, String(size)],
    [process.execPath, shmRing, 'pong', there, back, String(size)],
  ]);
  return removing([there, back], side);
}
