#!/usr/bin/env node
/**
 * One writer, two readers, three processes, one file in RAM. A reader is killed and comes back; at the end everything
 * is counted. Run it with: npm run demo
 */
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'millrace';
import { Family } from './family.js';
import { count, Screen } from './screen.js';
import { FRAME_BYTES, now } from './shared.js';
import { summarize } from './summary.js';
import { View } from './view.js';

const STEADY_MS = 3000;
const GONE_MS = 1000;
const RECOVERED_MS = 1800;
const FLAT_OUT_MS = 2000;
const ROUND_TRIPS_MS = 1200;
const TOO_LONG_MS = 60_000;
const LOOK_EVERY_MS = 10;
const LARGEST_RING = 128 * 2 ** 20;
const SMALLEST_RING = 2 ** 20;
/**
 * At the steady pace the ring holds the last five seconds: five times as long as the reader is gone. Where it takes
 * longer to come back, the writer waits for it.
 */
const SECONDS_IN_RING = 5;

const FRESH = { position: 0, read: 0, next: 0, gaps: 0, duplicates: 0, torn: 0 };

const screen = new Screen();
const family = new Family();

for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
])) {
  process.on(signal, () => finish(code));
}
process.on('uncaughtException', fail);

/** @param {number} code */
async function finish(code) {
  screen.stop();
  await family.end();
  process.exit(code);
}

/** @param {any} error */
function fail(error) {
  screen.stop();
  console.error(`The demo failed: ${error?.message ?? error}`);
  return finish(1);
}

/** @template T @param {Promise<T>} work @returns {Promise<T>} */
const orFailure = (work) => Promise.race([work, family.failure]);

/** @param {() => boolean} condition @param {string} what */
function until(condition, what) {
  return orFailure(looking(condition, what));
}

/** @param {() => boolean} condition @param {string} what */
async function looking(condition, what) {
  const patience = now() + TOO_LONG_MS;
  while (!condition()) {
    if (now() > patience) throw new Error(`${what} takes too long`);
    await delay(LOOK_EVERY_MS);
  }
}

function ringCapacity() {
  const { bavail, bsize } = statfsSync(family.directory);
  let capacity = LARGEST_RING;
  // A container has 64 MB there, unless it is told otherwise; and half of it is for others.
  while (capacity > SMALLEST_RING && capacity > (bavail * bsize) / 2) capacity /= 2;
  return capacity;
}

async function demo() {
  const path = `${family.directory}/records`;
  const capacity = ringCapacity();
  const pace = Math.floor(capacity / FRAME_BYTES / SECONDS_IN_RING);
  screen.print([]);
  screen.print([
    '  ',
    ['bold', 'millrace'],
    `: one writer, two readers, a ring of ${capacity / 2 ** 20} MiB in ${dirname(family.directory)}`,
  ]);

  const writer = family.start('writer', 'writer.js', { path, capacity });
  await until(() => writer.told.ready, 'The writer');
  let audit = family.start('audit', 'reader.js', { path, saved: FRESH, pauseMs: 0, thorough: false });
  const billing = family.start('billing', 'reader.js', {
    path,
    saved: FRESH,
    pauseMs: 350,
    pauseEveryMs: 1200,
  });
  // A reader that is dead holds nobody back. So what audit would have to read again is kept for it by the writer itself,
  // which is told of every report; until another reader goes on from the last of them.
  audit.process.on('message', () => writer.tell({ keptFrom: audit.told.position }));
  await until(() => audit.told.at && billing.told.at, 'A reader');

  const parties = {
    writer: { name: 'writer', progress: () => writer.told.written ?? 0 },
    audit: {
      name: 'audit',
      /** @type {string | undefined} */
      note: undefined,
      progress: () => audit.told.read ?? 0,
      position: () => audit.told.position ?? 0,
    },
    billing: { name: 'billing', progress: () => billing.told.read },
  };
  const view = new View(path, capacity, parties.writer, [parties.audit, parties.billing]);
  /** @type {(...text: import('./screen.js').Line) => void} */
  const say = (...text) => screen.print([['dim', `${view.seconds.toFixed(1).padStart(5)} s  `], ...text]);
  const act = (/** @type {number} */ ms) => orFailure(delay(ms));

  writer.tell({ pace });
  say(
    `the writer writes ${count(pace)} records a second; audit is quick, billing is at times busy elsewhere`,
  );
  screen.start(
    () => view.picture(),
    () => view.line(),
  );
  await act(STEADY_MS);

  await family.kill(audit);
  const saved = { ...FRESH, ...audit.told };
  const hadRead = readerOf(path, 'audit', false)?.position ?? saved.position;
  parties.audit.note = 'killed';
  say(['red', `kill -9 ${audit.pid}`], ': audit is dead; the writer and billing go on');
  await act(GONE_MS);

  const successor = family.start('audit', 'reader.js', { path, saved, pauseMs: 0, thorough: false });
  await until(() => writer.told.waiting || successor.told.at, 'The restarted reader');
  if (!successor.told.at) {
    say('the writer waits: what it writes next would take the place of what audit has not read');
    await until(() => successor.told.at, 'The restarted reader');
  }
  writer.tell({ keptFrom: null });
  const { tail } = inspect(path);
  const missed = (tail - saved.position) / FRAME_BYTES;
  audit = successor;
  parties.audit.note = undefined;
  say(
    ['green', `audit is back`],
    ` at record ${count(saved.next)}, its last report; ${count(missed)} to catch up`,
  );
  const back = now();
  await until(() => (readerOf(path, 'audit', true)?.position ?? 0) >= tail, 'Catching up');
  say(['green', `audit has caught up`], ` within ${((now() - back) / 1000).toFixed(1)} s`);
  await act(RECOVERED_MS);

  writer.tell({ pace: null });
  say('now as fast as it goes; a full ring holds the writer back and loses nothing');
  await act(FLAT_OUT_MS);

  writer.tell({ end: true });
  await orFailure(Promise.all([writer.closed, audit.closed, billing.closed]));
  screen.stop();
  say('closed, and read to the end; now records go there and back');

  const settings = { measureMs: ROUND_TRIPS_MS };
  const asking = family.start('asking', 'round-trips.js', { asks: true, ...settings });
  const answering = family.start('answering', 'round-trips.js', { asks: false });
  await orFailure(Promise.all([asking.closed, answering.closed]));

  await family.end();
  const result = {
    writer: writer.told,
    readers: [
      {
        name: 'audit',
        told: audit.told,
        killedAt: saved.next,
        again: (hadRead - saved.position) / FRAME_BYTES,
      },
      { name: 'billing', told: billing.told },
    ],
    trips: asking.told,
    left: existsSync(family.directory) ? family.directory : undefined,
  };
  return summarize(result, view.seconds);
}

/** What the channel says of a reader: of the one that lives, or of the dead one, whose place nobody has taken yet. */
function readerOf(/** @type {string} */ path, /** @type {string} */ name, /** @type {boolean} */ alive) {
  return inspect(path).readers.find((reader) => reader.name === name && reader.alive === alive);
}

try {
  const { lines, sound } = await demo();
  for (const line of lines) screen.print(line);
  process.exitCode = sound ? 0 : 1;
} catch (error) {
  await fail(error);
}
