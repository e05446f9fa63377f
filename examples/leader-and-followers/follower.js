/** Keeps its accounts equal to the leader's, by the same commands in the same order, whatever happens to this process. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Log } from 'millrace/log';
import { Accounts } from '../shared/accounts.js';
import { directory, given, tell } from '../shared/child.js';
import { logIn } from '../shared/logs.js';

const [name] = given;
const file = join(directory, `${name}.json`);
const { accounts, offset } = load();

// It may set its cursor, and change nothing else.
const log = await Log.open(logIn(directory), { readOnly: 'records' });
const cursor = log.cursor(name);
// From here on the leader keeps what this one has not read.
if (cursor.get() === undefined) await cursor.set(log.earliest);
tell({ state: 'following', name, cursor: cursor.get(), offset });

follow: for await (const batch of log.batches({ cursor: name, follow: true })) {
  for (const record of batch) {
    if (record.value.length === 0) break follow;
    // The cursor moves on when the next batch is asked for. A process that is killed before that gets this batch once
    // more, and its state tells what of it it has already.
    if (record.offset === accounts.transfers) accounts.apply(JSON.parse(record.value.toString()));
  }
  save();
  tell({ state: 'followed', name, offset: accounts.transfers });
}
await cursor.set(log.next);
await log.close();
tell({ state: 'ended', name, transfers: accounts.transfers, hash: accounts.hash() });

/** The state, and the offset of the first command that it doesn't have. */
function load() {
  try {
    const accounts = Accounts.fromJSON(JSON.parse(readFileSync(file, 'utf8')));
    return { accounts, offset: accounts.transfers };
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return { accounts: new Accounts(), offset: 0 };
  }
}

function save() {
  writeFileSync(`${file}.new`, JSON.stringify(accounts));
  renameSync(`${file}.new`, file);
}
