/** Writes numbered records into a channel of its own, whose name is this writer's. */
import { join } from 'node:path';
import { json, Writer } from 'millrace';
import { directory, given, nextMessage, tell } from '../shared/child.js';
import { RECORDS } from './records.js';

const [name, habit] = given;
// All is kept for whoever reads it, however late.
const writer = await Writer.create(join(directory, name), { mode: 'linear', capacity: '1MiB', codec: json });
const count = habit === 'stalls' ? RECORDS / 2 : RECORDS;
for (let number = 0; number < count; number++) writer.write({ number, last: number === RECORDS - 1 });
tell({ state: 'written' });
// Here it stays, with its channel open.
if (habit === 'stalls') await nextMessage();
writer.close();
