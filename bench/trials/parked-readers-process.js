// One end of many readers that wait: parked-readers-process.js writer|readers CONFIG (JSON).
//   writer    tell          says one thing to all of them; answers when, and how long that took
//   readers   hear          once all have heard it: when the first, the middle one and the last did
//   both      idle SECONDS  what the process uses while nobody says anything
import { connect, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Reader, Writer } from '../../dist/index.js';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { nowNs, Source } from '../harness/participant.js';
import { SIZE } from '../peers/crossings.js';

const [role, text] = process.argv.slice(2);
const { how, count, address, idle } = JSON.parse(text);
const source = new Source(SIZE);

const CAPACITY = '64KiB';

/** Where each reader's records come from. */
function addressOf(which) {
  return how === 'channels' ? `${address}-${which}` : address;
}

/** Each resolves with what says one thing to all. */
const writers = {
  async channel() {
    const writer = await Writer.create(address, { capacity: CAPACITY, readers: count });
    return () => writer.write(source.bytes);
  },
  async channels() {
    const open = [];
    for (let i = 0; i < count; i++) open.push(await Writer.create(addressOf(i), { capacity: CAPACITY }));
    return () => {
      for (const writer of open) writer.write(source.bytes);
    };
  },
  async sockets() {
    const open = [];
    const server = createServer((socket) => open.push(socket));
    await new Promise((resolve) => server.listen({ path: address, backlog: count }, resolve));
    return () => {
      for (const socket of open) socket.write(source.bytes);
    };
  },
};

/** Calls `heard` each time one of them gets something. */
async function listen(heard) {
  for (let i = 0; i < count; i++) {
    if (how === 'sockets') {
      const socket = connect(address);
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      socket.on('data', heard);
    } else {
      follow(await Reader.open(addressOf(i), { from: 'oldest', idle }), heard).catch((error) => {
        console.error(error);
        process.exit(1);
      });
    }
  }
}

async function follow(reader, heard) {
  for await (const _ of reader) heard();
}

async function beIdle(seconds) {
  const usage = new Usage();
  await setTimeout(seconds * 1000);
  const { rss } = process.memoryUsage();
  return { ...usage.end(), rssKiB: Math.round(rss / 1024) };
}

const roles = {
  async writer() {
    const tell = await writers[how]();
    let number = 0;
    answerTurns({
      idle: beIdle,
      tell() {
        source.number(number++);
        const usage = new Usage();
        const startNs = nowNs();
        tell();
        return { startNs, tookUs: (nowNs() - startNs) / 1000, ...usage.end() };
      },
    });
  },

  async readers() {
    let arrivals = [];
    let complete;
    await listen(() => {
      arrivals.push(nowNs());
      if (arrivals.length === count) complete();
    });
    answerTurns({
      idle: beIdle,
      async hear() {
        const usage = new Usage();
        arrivals = [];
        await new Promise((resolve) => {
          complete = resolve;
        });
        return {
          firstNs: arrivals[0],
          middleNs: arrivals[count >> 1],
          lastNs: arrivals.at(-1),
          ...usage.end(),
        };
      },
    });
  },
};

await roles[role]();
