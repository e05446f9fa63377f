import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOf, figure, sum } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { Rounds, takeRounds } from '../harness/rounds.js';
import { spread } from '../harness/statistics.js';

const script = fileURLToPath(new URL('./memory-process.js', import.meta.url));

const SIZE = 64;
const CAPACITY = 64 * 2 ** 20;
/** What a pass of the ring takes in the stream; a third of it fits in any case. */
const FRAME = 80;
const THIRDS = 3;
/** From here on a position is no small integer to V8 any more: so a channel is after the first seconds of its life. */
const POSITIONS_FROM = 2 ** 31;
const PATIENCE_MS = 60_000;
/** Less than this is a figure of the measurement itself. */
const NOTHING_BYTES = 0.1;

const READING = {
  poll: 'poll',
  read: 'read',
  readBatch: 'readBatch',
  'for-await': 'for await',
  batches: 'batches',
};
const WRITING = { write: 'write', tryWrite: 'tryWrite', claim: 'claim', batch: 'tryWriteBatch of 16' };
/** Those of which the documentation says that they allocate nothing. */
const FRUGAL = ['poll', 'tryWrite', 'claim', 'batch'];

export const memory = {
  name: 'memory',
  title: 'Memory a record',
  about:
    `What a record of ${SIZE} bytes allocates on V8's heap, at either end of a ring of ${CAPACITY / 2 ** 20} MiB between two processes: the` +
    ' writer writes, and then the reader reads what is there, so that nobody waits within the measurement. Counted are the bytes over all' +
    ' collections in between (`v8.GCProfiler`), and the scavenges; what is copied out for `read` and the like lies outside of the heap, and comes on top.' +
    ' Beside it both ends of `process.send` (JSON, a string of the same length). _Resident_ is what of a process is in memory: before it opens the' +
    ' ring, once it is open, and after all of it was written, or read, once; _shared_ what of that is the ring, which all its processes share.',
  quick: { turns: 3, records: 160_000, messages: 40_000 },
  full: { turns: 10, records: 400_000, messages: 200_000 },

  async run({ folder, cpus, node, probe, options, progress }) {
    const path = join(folder, 'memory');
    const { records, messages } = options;
    if (records * FRAME * 2 > CAPACITY)
      throw new Error(`at most ${CAPACITY / FRAME / 2} records a turn, not ${records}`);
    const started = [];
    const start = async (cpu, role) => {
      const text = JSON.stringify({ path, size: SIZE, capacity: CAPACITY, cpus, node });
      const process = new PinnedProcess(cpu, globalThis.process.execPath, [...node, script, role, text]);
      started.push(process);
      await process.hear();
      return process;
    };
    try {
      const writer = await start(cpus[0], 'writer');
      const reader = await start(cpus[1], 'reader');
      const sender = await start(cpus[0], 'sender');
      const channel = async (write, read, count = records) => ({
        writer: await ask(writer, `${write} ${count}`),
        reader: await ask(reader, `${read} ${count}`),
      });
      const resident = await residents();
      await ask(writer, `forward ${POSITIONS_FROM}`);
      await ask(reader, 'open');
      resident.reader.open = await ask(reader, 'resident');
      await pass();
      resident.writer.after = await ask(writer, 'resident');
      resident.reader.after = await ask(reader, 'resident');
      await ask(sender, `send ${messages}`);
      const { sender: sending, receiver: receiving } = await ask(sender, 'resident');
      resident.sender.after = sending;
      resident.receiver.after = receiving;
      const rounds = await takeRounds(
        [
          ...Object.keys(READING).map((way) => ({ name: way, turn: () => channel('tryWrite', way) })),
          ...Object.keys(WRITING).map((way) => ({ name: way, turn: () => channel(way, 'poll') })),
          { name: 'send', turn: () => ask(sender, `send ${messages}`) },
        ],
        { turns: options.turns, probe, progress },
      );
      return { size: SIZE, batch: 1, capacity: CAPACITY, records, messages, resident, rounds };

      async function residents() {
        const before = { writer: await ask(writer, 'resident'), reader: await ask(reader, 'resident') };
        await ask(writer, 'open');
        const messages = await ask(sender, 'resident');
        return {
          writer: { before: before.writer, open: await ask(writer, 'resident') },
          reader: { before: before.reader },
          sender: { before: messages.sender },
          receiver: { before: messages.receiver },
        };
      }

      async function pass() {
        const third = Math.ceil(CAPACITY / FRAME / THIRDS);
        for (let i = 0; i < THIRDS; i++) await channel('tryWrite', 'poll', third);
      }
    } finally {
      await Promise.all(started.map((process) => process.end()));
      rmSync(path, { force: true });
    }
  },

  rows: (results) => [
    ...Object.entries(READING).map(([way, name]) => allocationRow(results, 'a reader', way, name, 'reader')),
    allocationRow(results, 'a reader', 'send', 'process.send, receiving', 'receiver'),
    ...Object.entries(WRITING).map(([way, name]) => allocationRow(results, 'a writer', way, name, 'writer')),
    allocationRow(results, 'a writer', 'send', 'process.send, sending', 'sender'),
    ...Object.entries(ENDS).map(([end, name]) => residentRow(results, end, name)),
  ],
};

async function ask(process, line) {
  process.say(line);
  return process.hear(PATIENCE_MS);
}

function allocationRow({ rounds, records, messages }, who, way, name, end) {
  const each = way === 'send' ? messages : records;
  const turns = new Rounds(rounds, (turn) => turn[end]).of(way);
  const bytes = spread(turns.map(({ heapBytes }) => heapBytes / each));
  const scavenges = sum(turns.map((turn) => turn.scavenges));
  return {
    group: `what ${who} allocates a record`,
    name,
    figures: {
      heap: { unit: 'B', ...bytes },
      'scavenges a million records': figure('', (scavenges / turns.length / each) * 1e6),
    },
    ...(FRUGAL.includes(way) && {
      bar: barOf('nothing', bytes.median < NOTHING_BYTES && scavenges === 0, { of: 'heap' }),
    }),
    samples: turns.length * each,
  };
}

const ENDS = {
  writer: 'millrace, writer',
  reader: 'millrace, reader',
  sender: 'process.send, sender',
  receiver: 'process.send, receiver',
};

function residentRow({ resident, capacity }, end, name) {
  const figures = Object.entries({ before: 'before', open: 'open', after: 'after a pass' }).flatMap(
    ([when, title]) => {
      const now = resident[end][when];
      return now === undefined ? [] : [[title, figure('B', now.all)]];
    },
  );
  const shared = figure('B', resident[end].after.shared);
  return {
    group: `resident, with a ring of ${capacity / 2 ** 20} MiB`,
    name,
    figures: { ...Object.fromEntries(figures), 'shared of that': shared },
  };
}
