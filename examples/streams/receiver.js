/** Out of a channel, through gunzip, into a file. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Reader } from 'millrace';
import { readable } from 'millrace/stream';
import { directory, given, nextMessage, tell } from '../shared/child.js';
import { channelIn } from './channel.js';

const [output] = given;
const reader = await Reader.open(channelIn(directory), { wait: true, gate: true });
tell({ state: 'joined' });
await nextMessage();

await pipeline(readable(reader), createGunzip(), createWriteStream(output));
