import { awaitPartner } from './participant.js';
import { pingTurns, pongTurns, readTurns, writeTurns } from './roles.js';

const THERE = 0;
const BACK = 1;

/**
 * Plays the role that the command line says: writer, reader, ping or pong, then the size of records, and what else a
 * peer wants to be told. There are two ways, there and back: `writing(way, size, …)` makes a `write(source)`, and
 * `reading(way, size, …)` a `poll(tally)`, as in roles.js.
 */
export function play({ writing, reading }) {
  const [role, text, ...more] = process.argv.slice(2);
  const size = Number(text);
  const write = (way) => writing(way, size, ...more);
  const poll = (way) => reading(way, size, ...more);
  const roles = {
    writer: () => writeTurns(size, write(THERE)),
    reader: () => readTurns(poll(THERE)),
    ping: () => pingTurns(size, write(THERE), poll(BACK)),
    pong: () => pongTurns(size, write(BACK), poll(THERE)),
  };
  awaitPartner();
  roles[role]();
}
