/** A file, through gzip, into a channel. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Writer } from 'millrace';
import { writable } from 'millrace/stream';
import { directory, given, nextMessage, tell } from '../shared/child.js';
import { CAPACITY, channelIn } from './channel.js';

const [input] = given;
const writer = await Writer.create(channelIn(directory), { capacity: CAPACITY });
const source = createReadStream(input);
process.on('message', (message) => {
  if (message === 'how far?') tell({ read: source.bytesRead });
});
// The receiver has joined: what comes from now on waits for it.
await nextMessage();
await pipeline(source, createGzip(), writable(writer));
