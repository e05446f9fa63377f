import { close, closeSync, fdatasync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const LENGTH_BYTES = 4;
const CHUNK = 1 << 20;

const sync = promisify(fdatasync);

/**
 * What one writes by hand: a file that is appended to, a length before each record. A batch is put together in one
 * buffer; within an interval all are, up to 1 MiB.
 */
class FileStore {
  #path;
  #fd;
  #everyMs;
  #gathered = Buffer.allocUnsafe(CHUNK);
  #length = 0;
  #syncing;
  #syncedAt = performance.now();
  records = 0;
  bytes = 0;

  constructor(path, everyMs) {
    this.#path = path;
    this.#fd = openSync(path, 'ax');
    this.#everyMs = everyMs;
  }

  append(record) {
    this.#gather(record);
    if (this.#everyMs === undefined) this.#write();
    return true;
  }

  appendBatch(records) {
    for (const record of records) this.#gather(record);
    if (this.#everyMs === undefined) this.#write();
    return true;
  }

  #gather(record) {
    const taken = LENGTH_BYTES + record.length;
    if (this.#length + taken > CHUNK) this.#write();
    this.#gathered.writeUInt32LE(record.length, this.#length);
    this.#gathered.set(record, this.#length + LENGTH_BYTES);
    this.#length += taken;
    this.records++;
    this.bytes += taken;
  }

  #write() {
    for (let at = 0; at < this.#length; ) at += writeSync(this.#fd, this.#gathered, at, this.#length - at);
    this.#length = 0;
  }

  room() {}

  async settle() {
    if (this.#everyMs === undefined || performance.now() - this.#syncedAt < this.#everyMs) return;
    await this.#syncing;
    this.#write();
    this.#syncing = sync(this.#fd);
    this.#syncedAt = performance.now();
  }

  async commit(records) {
    this.appendBatch(records);
    fdatasyncSync(this.#fd);
  }

  async flush() {
    await this.#syncing;
    this.#write();
    await sync(this.#fd);
  }

  readers = {
    readSync: (limit, take) => {
      const fd = openSync(this.#path, 'r');
      try {
        readFrames(fd, limit, take);
      } finally {
        closeSync(fd);
      }
    },
  };

  async close() {
    await this.#syncing;
    this.#write();
    await promisify(close)(this.#fd);
  }
}

function readFrames(fd, limit, take) {
  const chunk = Buffer.allocUnsafe(CHUNK);
  let kept = 0;
  for (let left = limit; left > 0; ) {
    const end = kept + readSync(fd, chunk, kept, CHUNK - kept, null);
    if (end === kept) throw new Error(`the file ends ${left} records too early`);
    let at = 0;
    while (left > 0 && at + LENGTH_BYTES <= end) {
      const next = at + LENGTH_BYTES + chunk.readUInt32LE(at);
      if (next > end) break;
      take(chunk, at + LENGTH_BYTES, next);
      at = next;
      left--;
    }
    chunk.copy(chunk, 0, at, end);
    kept = end - at;
  }
}

export const file = {
  open: async (folder, { sync: { everyMs } }) => new FileStore(join(folder, 'records'), everyMs),
};
