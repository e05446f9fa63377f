// What records can be kept in, one file each. `open(folder, { sync, size })` resolves with a store; sync is what is
// promised of a record that was appended:
//   'none'         it is there if this process dies, but maybe not if the machine does
//   'commit'       commit() resolves once it is on the disk
//   { everyMs }    it is on the disk after that time at the latest, or so long after it was asked for
// A store has
//   append(record), appendBatch(records)   false: there is no room; room() is due before the next one
//   room()           resolves when there is room
//   settle()         what its documentation has one wait for now and then
//   commit(records)  as one, if there are several; resolves once they are on the disk
//   flush()          resolves once all of them are
//   records, bytes   how many were appended, and about how much of the disk they take
//   readers          functions by name: (limit, take) hands over the bytes of each record, from the first one on
//   close()

import { linear, ring } from './channel-store.js';
import { file } from './file-store.js';
import { lmdb } from './lmdb-store.js';
import { log } from './log-store.js';
import { sqlite } from './sqlite-store.js';

export const stores = { log, sqlite, lmdb, file, ring, linear };
