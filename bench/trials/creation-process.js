// One process of a creation: creation-process.js writer|reader PATH …, which the first number of a line chooses from
//   writer    create WHICH CAPACITY    makes a channel there
//             hold WHICH CAPACITY      the same, watching the event loop
//             pass                     writes as much as the ring holds
//             close                    closes it, and removes its file
//   reader    open WHICH               opens that channel
//             hold WHICH               the same, watching the event loop
//             close
import { readFileSync, rmSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { Reader, Writer } from '../../dist/index.js';
import { answerTurns } from '../harness/listener.js';
import { CpuWait } from '../harness/load.js';

const RECORD = 1024;

const [role, ...paths] = process.argv.slice(2);
const cpuWait = new CpuWait();
const record = new Uint8Array(RECORD).fill(0x11);

/** The longest that the event loop was held while `work` went on, and what of that the thread waited for a cpu. */
async function holding(work) {
  let longest = { heldNs: 0, waitedNs: 0 };
  let on = true;
  let before = performance.now();
  let waited = cpuWait.ms;
  const turn = () => {
    const now = performance.now();
    const waitedNow = cpuWait.ms;
    const heldNs = (now - before) * 1e6;
    if (heldNs > longest.heldNs) longest = { heldNs, waitedNs: (waitedNow - waited) * 1e6 };
    before = now;
    waited = waitedNow;
    if (on) setImmediate(turn);
  };
  setImmediate(turn);
  const result = await work();
  on = false;
  turn();
  return { result, ...longest };
}

async function taking(work) {
  const start = performance.now();
  const result = await work();
  return { result, ns: (performance.now() - start) * 1e6 };
}

function timed(work) {
  const start = performance.now();
  const result = work();
  return { result, ns: (performance.now() - start) * 1e6 };
}

/** A mapping goes on another thread; what it takes there is not the next one's. */
async function unmapped(path) {
  while (readFileSync('/proc/self/maps', 'utf8').includes(path)) await setTimeout(1);
}

function writeAll(writer) {
  const records = Math.floor(writer.capacity / (RECORD + 16));
  for (let i = 0; i < records; i++) {
    if (writer.tryWrite(record) < 0) throw new Error('a ring without readers refused a record');
  }
  return records;
}

const roles = {
  writer() {
    let writer;
    const create = async (how, which, capacity) => {
      const { result, ...facts } = await how(() => Writer.create(paths[which], { capacity }));
      writer = result;
      return facts;
    };
    answerTurns({
      create: (which, capacity) => create(taking, which, capacity),
      hold: (which, capacity) => create(holding, which, capacity),
      pass() {
        const { result, ns } = timed(() => writeAll(writer));
        return { ns, written: result * RECORD };
      },
      async close() {
        const { path } = writer;
        const { ns } = timed(() => writer.close());
        await unmapped(path);
        rmSync(path);
        return { ns };
      },
    });
  },

  reader() {
    let reader;
    const open = async (how, which) => {
      const { result, ...facts } = await how(() => Reader.open(paths[which]));
      reader = result;
      return facts;
    };
    answerTurns({
      open: (which) => open(taking, which),
      hold: (which) => open(holding, which),
      async close() {
        const { path } = reader;
        const { ns } = timed(() => reader.close());
        await unmapped(path);
        return { ns };
      },
    });
  },
};

roles[role]();
