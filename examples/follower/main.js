#!/usr/bin/env node
/**
 * A state and its copies in other processes: snapshots in a file, and what happened since in a channel.
 * Run it with: node examples/follower/main.js
 */
import { heard, start } from '../shared/processes.js';
import { CAPACITY } from './channel.js';

const LEADER = new URL('leader.js', import.meta.url);
const FOLLOWER = new URL('follower.js', import.meta.url);

const leader = start(LEADER);
await leaderPasses(2 * CAPACITY);
console.log('leader: has gone round the channel twice; what came first is only in its snapshots');

const late = start(FOLLOWER, 'late');
const stalling = start(FOLLOWER, 'stalling', 'stalls');
const ends = [leader, late, stalling].map((child) => isNow(child, 'ended'));

const [, { position }] = await Promise.all([isNow(late, 'following'), isNow(stalling, 'standing')]);
await leaderPasses(position + CAPACITY);
console.log('leader: has overwritten what the one that stands still has not read');

const recovered = isNow(stalling, 'following');
stalling.send('go on');
await leaderPasses((await recovered).position + 1);

leader.send('stop');
const states = await Promise.all(ends);
for (const { name, transfers, hash } of states) console.log(`${name}: ${transfers} transfers, state ${hash}`);
const equal = states.every(({ hash }) => hash === states[0].hash);
console.log(equal ? 'All have the same state' : 'They have different states');
process.exitCode = equal ? 0 : 1;

/** @param {import('node:child_process').ChildProcess} child @param {string} state */
function isNow(child, state) {
  return heard(child, (message) => message.state === state);
}

/** The leader tells where it stands with each snapshot. @param {number} position */
function leaderPasses(position) {
  return heard(leader, (message) => message.position >= position);
}
