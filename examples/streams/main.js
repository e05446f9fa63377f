#!/usr/bin/env node
/**
 * A file goes through gzip and a channel to another process, never more of it than that process lets through.
 * Run it with: node examples/streams/main.js
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'millrace';
import { directory, heard, start } from '../shared/processes.js';
import { CAPACITY, channelIn } from './channel.js';

const LINES = 100_000;
const LOOK_EVERY_MS = 20;

const input = join(directory, 'input');
const output = join(directory, 'output');
const size = writeInput();

const sender = start(new URL('sender.js', import.meta.url), input);
const receiver = start(new URL('receiver.js', import.meta.url), output);
const ended = Promise.all([sender, receiver].map((child) => once(child, 'exit')));
await heard(receiver, ({ state }) => state === 'joined');

sender.send('begin');
const read = await standstill();
console.log(`the receiver takes nothing: the sender stands still after ${read} of ${size} bytes of its file`);
console.log(`under way: ${inspect(channelIn(directory)).tail} bytes, in a channel of ${CAPACITY}`);

receiver.send('begin');
await ended;
const { finalPosition } = inspect(channelIn(directory));
console.log(`the receiver took all: ${size} bytes, as ${finalPosition} in the channel`);
const equal = hashOf(input) === hashOf(output);
console.log(`sent     ${hashOf(input)}\nreceived ${hashOf(output)}`);
process.exitCode = equal ? 0 : 1;

/** Lines that can be compressed to about a half. */
function writeInput() {
  const lines = Array.from({ length: LINES }, (_, n) => createHash('sha256').update(`${n}`).digest('hex'));
  const text = lines.join('\n');
  writeFileSync(input, text);
  return text.length;
}

/** How far the sender has read its file when the channel is full and it reads no more. */
async function standstill() {
  for (let before = -1; ; await delay(LOOK_EVERY_MS)) {
    const answer = heard(sender, (message) => message.read !== undefined);
    sender.send('how far?');
    const { read } = await answer;
    // Nothing happens any more, and there is no event for that.
    if (read === before && inspect(channelIn(directory)).refusals > 0) return read;
    before = read;
  }
}

/** @param {string} path */
function hashOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
