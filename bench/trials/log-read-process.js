// Drains of one store: log-read-process.js CONFIG (JSON: store, folder, size, records)
//   drain WHICH RECORDS   the WHICHth of its readers, from the first record on
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { stores } from '../peers/stores.js';

const BATCH = 1000;

const config = JSON.parse(process.argv[2]);
const { folder, size, records } = config;
const path = join(folder, 'store');
mkdirSync(path);
const store = await stores[config.store].open(path, { sync: 'none', size });
process.on('exit', () => rmSync(path, { recursive: true, force: true }));

/** Each record has its number in its first bytes. */
for (let number = 0; number < records; number += BATCH) {
  const batch = [];
  for (let i = 0; i < BATCH; i++) {
    const record = Buffer.alloc(size, 0x11);
    record.writeInt32LE(number + i);
    batch.push(record);
  }
  while (!store.appendBatch(batch)) await store.room();
  await store.settle();
}
await store.flush();

let count = 0;
let sum = 0;
const take = (bytes, start, end) => {
  count++;
  sum += bytes[start] | (bytes[start + 1] << 8) | (bytes[start + 2] << 16) | (bytes[start + 3] << 24);
  sum += bytes[end - 1];
};

answerTurns({
  async drain(which, limit) {
    count = 0;
    sum = 0;
    const [name, reader] = Object.entries(store.readers)[which];
    const usage = new Usage();
    await reader(limit, take);
    const own = usage.end();
    const expected = (name.endsWith('reverse') ? records - limit : 0) * limit + (limit * (limit - 1)) / 2;
    if (count !== limit || sum !== expected + limit * 0x11) {
      throw new Error(`${config.store}, ${name}: ${count} of ${limit} records came, sum ${sum}`);
    }
    return { records: count, perSecond: (count / own.ms) * 1000, usage: own };
  },
});
