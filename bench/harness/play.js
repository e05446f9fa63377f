import { awaitPartner } from './participant.js';
import { pingTurns, pongTurns, readTurns, writeTurns } from './roles.js';

const THERE = 0;
const BACK = 1;

/**
 * Plays the role that the command line says: writer SIZE | reader SIZE | ping SIZE | pong SIZE. There are two
 * ways, there and back: `writing(way, size)` makes a `write(source)`, and `reading(way, size)` a `poll(tally)`,
 * as in roles.js.
 */
export function play({ writing, reading }) {
  const [role, text] = process.argv.slice(2);
  const size = Number(text);
  awaitPartner();
  const roles = {
    writer: () => writeTurns(size, writing(THERE, size)),
    reader: () => readTurns(reading(THERE, size)),
    ping: () => pingTurns(size, writing(THERE, size), reading(BACK, size)),
    pong: () => pongTurns(size, writing(BACK, size), reading(THERE, size)),
  };
  roles[role]();
}
