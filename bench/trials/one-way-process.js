// One end of a stream of messages between two event loops: one-way-process.js front|back CONFIG (JSON). The front is
// told by the harness
//   run MS [RECORDS]   sends for so long, or so many, as fast as the back lets it
// and starts the back, which is told `run`, and listens until END comes.
import { fileURLToPath } from 'node:url';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { END, LAST_BYTE, nextNumber, nowNs, say, Tally } from '../harness/participant.js';
import { partnerStarter } from '../harness/partner.js';
import { crossings } from '../peers/crossings.js';

const RECORDS_BETWEEN_CLOCKS = 256;

const [role, text] = process.argv.slice(2);
const config = JSON.parse(text);
const crossing = crossings[config.crossing];

const roles = {
  async back() {
    const end = await crossing.back(config);
    const tally = new Tally();
    answerTurns({
      async run() {
        tally.begin();
        const usage = new Usage(config);
        const done = end.listen((number, lastByte) => {
          tally.take(number, lastByte);
          return !tally.ended;
        });
        say({ running: true });
        await done;
        const { records, gaps, sum } = tally;
        return { records, gaps, sum, endNs: nowNs(), ...usage.end() };
      },
    });
  },

  async front() {
    const start = partnerStarter(fileURLToPath(import.meta.url), text, config);
    const { back, end } = await crossing.front(start, config);
    let number = 0;

    async function send(ms, most) {
      const usage = new Usage(config);
      const startNs = nowNs();
      const deadline = startNs + ms * 1e6;
      let records = 0;
      do {
        const count = Math.min(RECORDS_BETWEEN_CLOCKS, most - records);
        for (let i = 0; i < count; i++) {
          const accepted = end.send(number);
          number = nextNumber(number);
          if (!accepted) await end.room();
        }
        records += count;
      } while (records < most && nowNs() < deadline);
      if (!end.send(END)) await end.room();
      return { startNs, records, ...usage.end() };
    }

    answerTurns({
      async run(ms, most = Infinity) {
        back.say('run');
        await back.hear(); // running
        const front = await send(ms, most);
        const received = await back.hear();
        if (
          received.gaps > 0 ||
          received.records !== front.records ||
          received.sum !== front.records * LAST_BYTE
        ) {
          throw new Error(`lost or mangled records: ${JSON.stringify({ front, back: received })}`);
        }
        const { heapUsed, rss } = process.memoryUsage();
        return {
          records: received.records,
          elapsedNs: received.endNs - front.startNs,
          front,
          back: received,
          heapBytes: heapUsed,
          rssKiB: Math.round(rss / 1024),
        };
      },
    });
  },
};

await roles[role]();
