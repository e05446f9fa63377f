#!/usr/bin/env node
/**
 * A leader that orders commands, and followers in other processes that apply them. One is killed and comes back where its
 * named cursor stands; the log keeps what it has to read still, and no more. All end with the same state.
 * Run it with: node examples/leader-and-followers/main.js
 */
import { heard, kill, start } from '../shared/processes.js';

const LEADER = new URL('leader.js', import.meta.url);
const FOLLOWER = new URL('follower.js', import.meta.url);
/** So many that the log begins some new segments meanwhile. */
const COMMANDS = 20_000;

const leader = start(LEADER);
/** Where the log ends, and where it begins by now. */
let log = { offset: 0, earliest: 0 };
leader.on('message', (message) => {
  if (message.state === 'leading') log = message;
});
await says(leader, 'leading');
const steady = start(FOLLOWER, 'steady');
const unlucky = start(FOLLOWER, 'unlucky');
await Promise.all([says(steady, 'following'), says(unlucky, 'following')]);
leader.send('go');

const ends = [says(leader, 'ended'), says(steady, 'ended')];
await heard(unlucky, ({ state, offset }) => state === 'followed' && offset >= COMMANDS);
await kill(unlucky);
const killedAt = log.offset;
console.log(`unlucky: killed, while the leader was at command ${killedAt}`);
await heard(leader, ({ offset }) => offset >= killedAt + COMMANDS);

const again = start(FOLLOWER, 'unlucky');
ends.push(says(again, 'ended'));
const { cursor, offset } = await says(again, 'following');
console.log(`unlucky: is back with the state after ${offset} commands; its cursor stood at ${cursor}`);
console.log(`leader: is at command ${log.offset}, and has kept those from ${log.earliest} on`);
await heard(leader, ({ earliest }) => earliest > cursor);
console.log(`leader: has removed what both have read, and keeps those from ${log.earliest} on`);
leader.send('stop');

const states = await Promise.all(ends);
for (const { name, transfers, hash } of states) console.log(`${name}: ${transfers} commands, state ${hash}`);
const equal = states.every(({ hash }) => hash === states[0].hash);
console.log(equal ? 'All have the same state' : 'They have different states');
process.exitCode = equal ? 0 : 1;

/** @param {import('node:child_process').ChildProcess} child @param {string} state */
function says(child, state) {
  return heard(child, (message) => message.state === state);
}
