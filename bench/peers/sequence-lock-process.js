// One process of a sequence lock: publisher|observer|ping|pong SIZE PATH-THERE PATH-BACK [MS], where MS is how long the
// observer sleeps between two looks.
import { awaitPartner, LAST_BYTE, nowNs, runTurns, Source } from '../harness/participant.js';
import { play } from '../harness/play.js';
import { sleepSync } from '../harness/sleep.js';
import { Observer, Publisher } from './sequence-lock.js';

const UPDATES_BETWEEN_CLOCKS = 256;
/** Where a value says its number, says it again, and says that it is the last one of a turn. */
const NUMBER = 0;
const AGAIN = 2;
const LAST = 1;

const [role, sizeText, path, , pauseText = '0'] = process.argv.slice(2);
const size = Number(sizeText);
const pauseMs = Number(pauseText);

const roles = {
  publisher() {
    const publisher = new Publisher(path);
    const source = new Source(size);
    let number = 0;
    const update = () => {
      source.words[NUMBER] = number;
      source.words[AGAIN] = number++;
      publisher.publish(source.words);
    };
    awaitPartner();
    runTurns((deadlineNs) => {
      const first = number;
      source.words[LAST] = 0;
      do {
        for (let i = 0; i < UPDATES_BETWEEN_CLOCKS; i++) update();
      } while (nowNs() < deadlineNs);
      source.words[LAST] = 1;
      update();
      const records = number - first;
      return { records, sum: records * LAST_BYTE, gaps: 0 };
    });
  },

  /** Of what it doesn't see, it knows from the numbers that it was there. */
  observer() {
    const observer = new Observer(path, size);
    const { bytes, words } = new Source(size);
    let newest = -1;
    let seen = 0;
    let wrong = 0;
    const lookUntilLast = () => {
      do {
        if (pauseMs > 0) sleepSync(pauseMs);
        if (!observer.look(words)) continue;
        const number = words[NUMBER];
        if (number <= newest || words[AGAIN] !== number || bytes[size - 1] !== LAST_BYTE) wrong++;
        newest = number;
        seen++;
      } while (words[LAST] !== 1);
    };
    awaitPartner();
    runTurns(() => {
      const before = newest;
      words[LAST] = seen = wrong = 0;
      lookUntilLast();
      const records = newest - before;
      return { records, sum: records * LAST_BYTE, gaps: wrong, seen };
    });
  },
};

if (roles[role] !== undefined) {
  roles[role]();
} else {
  play({
    writing(way, _size, ...paths) {
      const publisher = new Publisher(paths[way]);
      return ({ words }) => {
        publisher.publish(words);
        return true;
      };
    },
    reading(way, _size, ...paths) {
      const observer = new Observer(paths[way], size);
      const { bytes, words } = new Source(size);
      return (tally) => {
        if (!observer.look(words)) return 0;
        tally.take(words[NUMBER], bytes[size - 1]);
        return 1;
      };
    },
  });
}
