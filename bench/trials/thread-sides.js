import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RING_BYTES } from '../peers/thread-ring.js';

// Sides of two threads in one process, for harness/side.js.

const pathOf = (script) => fileURLToPath(new URL(script, import.meta.url));

const ROLES = { 'one-way': ['writer', 'reader'], 'round-trip': ['ping', 'pong'] };

function twoThreads(kind, script, sharedBytes, ...args) {
  const [front, back] = ROLES[kind].map((role) => [role, ...args]);
  return { name: script, kind, threads: { script: pathOf(script), front, back, sharedBytes } };
}

export function threadRing(kind, size) {
  return twoThreads(kind, '../peers/thread-ring-thread.js', RING_BYTES, String(size));
}

/** A few bytes are its pointers, and one element stays free. */
const RINGBUF_BYTES = (8 << 20) + 12;

/** Its reader pops `one` or `many` records at once. */
export function ringbuf(kind, size, howMany) {
  const side = twoThreads(kind, '../peers/ringbuf-thread.js', RINGBUF_BYTES, String(size), howMany);
  return { ...side, mayBeAbsent: true };
}

export function spunPort(kind, size, form) {
  return twoThreads(kind, '../peers/spun-port-thread.js', 64, String(size), form);
}

let made = 0;

/** The channel between two threads, with the same program as between two processes. */
export function millraceThreads(kind, folder, size, idle) {
  const [there, back] = ['there', 'back'].map((way) => join(folder, `threads-${made}-${way}`));
  made++;
  const [front, partner] =
    kind === 'one-way'
      ? [
          ['writer', there, String(size), 'by-one'],
          ['reader', there, idle],
        ]
      : [
          ['ping', there, back, String(size), idle],
          ['pong', there, back, String(size), idle],
        ];
  const script = pathOf('./millrace-process.js');
  return { name: script, kind, threads: { script, front, back: partner, sharedBytes: 0 } };
}
