#!/usr/bin/env node
/**
 * Many writers, each with a channel of its own in one directory, are read as one stream.
 * Run it with: node examples/many-writers/main.js
 */
import { basename } from 'node:path';
import { json, openAll } from 'millrace';
import { directory, heard, kill, start } from '../shared/processes.js';
import { RECORDS, Tally } from './records.js';

const WRITER = new URL('writer.js', import.meta.url);
const NAMES = ['north', 'east', 'south', 'west'];

const doomed = start(WRITER, 'south', 'stalls');
const first = [start(WRITER, 'north'), start(WRITER, 'east'), doomed];
await Promise.all(first.map((child) => heard(child, ({ state }) => state === 'written')));

const all = await openAll(directory, { codec: json, deadAfterMs: 0 });
const channels = all.sources().map(({ path }) => basename(path));
console.log(`there are channels of ${channels.sort().join(', ')}`);

const tally = new Tally();
const ended = new Set();
while (ended.size < NAMES.length) await readOn();
all.close();

for (const name of NAMES) console.log(`${name}: ${tally.of(name)} of ${RECORDS} records`);
console.log(
  `${tally.outOfTurn} out of turn; ${tally.changes} times a record was of another writer than the one before`,
);

/** Reads until all writers have ended, or until one is found dead, which is told by an error. */
async function readOn() {
  try {
    for await (const { source, value } of all) {
      const name = basename(source);
      if (tally.changes === 0) await changeWriters();
      tally.add(name, value);
      if (value.last) ended.add(name);
      if (ended.size === NAMES.length) return;
    }
  } catch (error) {
    if (error.code !== 'ERR_WRITER_DEAD') throw error;
    const name = basename(error.path);
    console.log(`${name} died; what it had written is read: ${tally.of(name)} records`);
    ended.add(name);
  }
}

/** While the others are read, one writer comes and one goes. */
async function changeWriters() {
  start(WRITER, 'west');
  console.log('west starts; the reader is not told');
  console.log(`kill -9 ${doomed.pid}: south`);
  await kill(doomed);
}
