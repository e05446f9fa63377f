import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { floorProgram } from '../harness/floor.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';

const script = fileURLToPath(new URL('./creation-process.js', import.meta.url));

const MILLRACE = 'millrace';
const POPULATED = 'C, allocated and populated';
const PLAIN = 'C, ftruncate and mmap';
const PATIENCE_MS = 120_000;
/** A file is the ring and some more; and nobody's last space shall be taken. */
const ROOM = 1.25;
/** Below this a pass is over before it can be timed. */
const LEAST_TIMED = 2 ** 20;

const sideName = (place, capacity, kind) => `${place} ${capacity} ${kind}`;

export const creation = {
  name: 'creation',
  title: 'Creating, opening, closing; the first touch of pages',
  about:
    'Rings of several sizes, in memory (tmpfs) and on a disk. _Create_ is `Writer.create`, which allocates and maps all of the file on another' +
    ' thread; _held_ the longest time between two turns of the event loop meanwhile, in a creation of its own. Then the ring is written full twice with' +
    ' records of 1 KiB: pages that are there already are as quick the first time as the second. _Open_ is `Reader.open` in another process;' +
    ' _close_ the call `writer.close()`, which leaves the unmapping to another thread; in C it is in it. In C the same file is made, mapped and' +
    ' copied into, once with its pages allocated and populated, and once with' +
    ' `ftruncate`, which leaves each page to its first touch.',
  quick: { turns: 4, capacities: [2 ** 16, 2 ** 23, 2 ** 26] },
  full: { turns: 10, capacities: [2 ** 16, 2 ** 23, 2 ** 28, 2 ** 30] },

  async run({ folder, disk, cpus, node, probe, options, progress }) {
    const folders = { memory: folder, disk };
    const places = Object.keys(folders);
    const paths = places.map((place) => join(folders[place], 'creation'));
    const plan = places.flatMap((place) => options.capacities.map((capacity) => ({ place, capacity })));
    const absent = Object.fromEntries(
      plan.map(({ place, capacity }) => [`${place} ${capacity}`, lackOfRoom(folders[place], capacity)]),
    );
    const started = [];
    // Creation has a thread of its own, so both cpus are theirs.
    const start = async (...command) => {
      const process = new PinnedProcess(cpus.join(','), ...command);
      started.push(process);
      await process.hear();
      return process;
    };
    try {
      const writer = await start(process.execPath, [...node, script, 'writer', ...paths]);
      const reader = await start(process.execPath, [...node, script, 'reader', ...paths]);
      const floor = await start(floorProgram('creation'), []);
      const sides = plan.flatMap(({ place, capacity }) => {
        if (absent[`${place} ${capacity}`] !== undefined) return [];
        const which = places.indexOf(place);
        const bare = (how) => () => ask(floor, `${how} ${paths[which]} ${capacity}`);
        return [
          {
            name: sideName(place, capacity, MILLRACE),
            turn: () => channelTurn(writer, reader, which, capacity),
          },
          { name: sideName(place, capacity, POPULATED), turn: bare('populated') },
          { name: sideName(place, capacity, PLAIN), turn: bare('plain') },
        ];
      });
      const rounds = await takeRounds(sides, { turns: options.turns, warmUp: 1, probe, progress });
      return { size: 1024, batch: 1, samples: options.turns, plan, absent, rounds };
    } finally {
      await Promise.all(started.map((process) => process.end()));
      for (const path of paths) rmSync(path, { force: true });
    }
  },

  rows: (results) => results.plan.flatMap((one) => rowsOf(results, one)),
};

function lackOfRoom(folder, capacity) {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= capacity * ROOM) return undefined;
  return `${mebi(capacity * ROOM)} MiB are needed there, and ${mebi(free)} are free`;
}

async function ask(process, line) {
  process.say(line);
  return process.hear(PATIENCE_MS);
}

async function channelTurn(writer, reader, which, capacity) {
  const watched = await ask(writer, `hold ${which} ${capacity}`);
  await ask(writer, 'close');
  const created = await ask(writer, `create ${which} ${capacity}`);
  const first = await ask(writer, 'pass');
  const second = await ask(writer, 'pass');
  const opened = await ask(reader, `open ${which}`);
  await ask(reader, 'close');
  const watchedOpening = await ask(reader, `hold ${which}`);
  await ask(reader, 'close');
  const closed = await ask(writer, 'close');
  return {
    createNs: created.ns,
    held: watched,
    firstNs: first.ns,
    secondNs: second.ns,
    written: first.written,
    openNs: opened.ns,
    openHeld: watchedOpening,
    closeNs: closed.ns,
  };
}

const PLACES = { memory: 'in memory', disk: 'on a disk' };

function rowsOf({ rounds, absent }, { place, capacity }) {
  const group = `${sizeText(capacity)} ${PLACES[place]}`;
  const lacking = absent[`${place} ${capacity}`];
  if (lacking !== undefined) return [{ group, name: MILLRACE, absent: lacking }];
  return [MILLRACE, POPULATED, PLAIN].map((kind) => {
    const name = sideName(place, capacity, kind);
    const figure = (unit, of) => ({ unit, ...new Rounds(rounds, of).spread(name) });
    const own = kind === MILLRACE;
    const created = new Rounds(rounds, ({ createNs }) => createNs);
    return {
      group,
      name: kind,
      figures: {
        create: figure('ns', ({ createNs }) => createNs),
        ...(own && { held: figure('ns', ({ held }) => held.heldNs) }),
        ...(capacity >= LEAST_TIMED && {
          'first pass': figure('B/s', ({ written, firstNs }) => (written / firstNs) * 1e9),
          'second pass': figure('B/s', ({ written, secondNs }) => (written / secondNs) * 1e9),
          'first / second': figure('times', ({ firstNs, secondNs }) => secondNs / firstNs),
        }),
        ...(own && {
          open: figure('ns', ({ openNs }) => openNs),
          'held by opening': figure('ns', ({ openHeld }) => openHeld.heldNs),
        }),
        close: figure('ns', ({ closeNs }) => closeNs),
      },
      ...(own && {
        note: heldNote(rounds, name),
        ratio: {
          to: POPULATED,
          what: 'time to create',
          ...created.ratio(name, sideName(place, capacity, POPULATED)),
        },
      }),
      samples: rounds.length,
    };
  });
}

function heldNote(rounds, name) {
  const longest = new Rounds(rounds, ({ held }) => held)
    .of(name)
    .reduce((most, held) => (held.heldNs > most.heldNs ? held : most));
  const ms = (ns) => (ns / 1e6).toFixed(1);
  return `held at most ${ms(longest.heldNs)} ms, ${ms(longest.waitedNs)} of them without a cpu`;
}

function mebi(bytes) {
  return Math.ceil(bytes / 2 ** 20);
}

function sizeText(bytes) {
  const [size, unit] = [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ].find(([size]) => bytes >= size);
  return `${bytes / size} ${unit}`;
}
