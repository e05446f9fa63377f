const APPEND = { append: true };
/** Of an entry, beside its value. */
const ENTRY_BYTES = 14;

/**
 * A database with numbers for keys. Puts of one turn of the event loop are written together by a thread of its own;
 * what is put is safe once that has resolved, which is waited for now and then. Flushing overlaps with what follows.
 */
class LmdbStore {
  #db;
  #everyMs;
  #last;
  #flushing;
  #flushedAt = performance.now();
  #entryBytes;
  records = 0;

  constructor(db, { sync, size }) {
    this.#db = db;
    this.#everyMs = sync.everyMs;
    this.#entryBytes = size + ENTRY_BYTES;
  }

  append(record) {
    this.#last = this.#db.put(this.records++, record, APPEND);
    return true;
  }

  appendBatch(records) {
    this.#last = this.#db.batch(() => {
      for (const record of records) this.#db.put(this.records++, record, APPEND);
    });
    return true;
  }

  room() {}

  /** Within an interval, no more than that is waiting for the disk. */
  async settle() {
    await this.#last;
    if (this.#everyMs === undefined || performance.now() - this.#flushedAt < this.#everyMs) return;
    await this.#flushing;
    this.#flushing = this.#db.flushed;
    this.#flushedAt = performance.now();
  }

  async commit(records) {
    if (records.length === 1) this.append(records[0]);
    else this.appendBatch(records);
    await this.flush();
  }

  async flush() {
    await this.#last;
    await this.#db.flushed;
  }

  get bytes() {
    return this.records * this.#entryBytes;
  }

  readers = {
    getRange: (limit, take) => {
      for (const { value } of this.#db.getRange({ limit })) take(value, 0, value.length);
    },
  };

  close() {
    return this.#db.close();
  }
}

export const lmdb = {
  async open(folder, options) {
    const { open } = await import('lmdb');
    const db = open({
      path: folder,
      encoding: 'binary',
      keyEncoding: 'uint32',
      noSync: options.sync === 'none',
    });
    return new LmdbStore(db, options);
  },
};
