import { join } from 'node:path';

const SYNCHRONOUS = { none: 'OFF', commit: 'FULL' };
/** Of a row, beside its value. */
const ROW_BYTES = 10;

/**
 * A table in WAL mode, written by prepared statements and transactions. Within an interval it is one transaction, for
 * with synchronous=NORMAL nobody would know when the disk has a row.
 */
class SqliteStore {
  #db;
  #insert;
  #insertAll;
  #everyMs;
  #begunAt;
  #rowBytes;
  records = 0;

  constructor(db, { sync, size }) {
    this.#db = db;
    this.#everyMs = sync.everyMs;
    this.#rowBytes = size + ROW_BYTES;
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${SYNCHRONOUS[sync] ?? 'FULL'}`);
    db.exec('CREATE TABLE records (offset INTEGER PRIMARY KEY, value BLOB NOT NULL)');
    this.#insert = db.prepare('INSERT INTO records (value) VALUES (?)');
    this.#insertAll = db.transaction((records) => {
      for (const record of records) this.#insert.run(record);
    });
  }

  append(record) {
    this.#begin();
    this.#insert.run(record);
    this.records++;
    return true;
  }

  appendBatch(records) {
    this.#begin();
    if (this.#everyMs === undefined) this.#insertAll(records);
    else for (const record of records) this.#insert.run(record);
    this.records += records.length;
    return true;
  }

  #begin() {
    if (this.#everyMs === undefined || this.#begunAt !== undefined) return;
    this.#db.exec('BEGIN');
    this.#begunAt = performance.now();
  }

  room() {}

  settle() {
    if (this.#begunAt !== undefined && performance.now() - this.#begunAt >= this.#everyMs) this.#end();
  }

  #end() {
    if (this.#begunAt !== undefined) this.#db.exec('COMMIT');
    this.#begunAt = undefined;
  }

  async commit(records) {
    if (records.length === 1) this.append(records[0]);
    else this.appendBatch(records);
  }

  async flush() {
    this.#end();
  }

  get bytes() {
    return this.records * this.#rowBytes;
  }

  readers = {
    iterate: (limit, take) => {
      const select = this.#db.prepare('SELECT value FROM records ORDER BY offset LIMIT ?').pluck();
      for (const value of select.iterate(limit)) take(value, 0, value.length);
    },
  };

  async close() {
    this.#end();
    this.#db.close();
  }
}

export const sqlite = {
  async open(folder, options) {
    const { default: Database } = await import('better-sqlite3');
    return new SqliteStore(new Database(join(folder, 'records.db')), options);
  },
};
