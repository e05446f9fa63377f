/** A snapshot is a state together with the position in the channel that it was made at: what follows begins there. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Accounts } from '../shared/accounts.js';

/** @param {string} directory */
const pathIn = (directory) => join(directory, 'snapshot.json');

/**
 * @param {string} directory
 * @param {{ accounts: Accounts, position: number, channelId: string }} snapshot
 */
export function saveSnapshot(directory, snapshot) {
  const path = pathIn(directory);
  // Whoever opens it finds the old one or the new one, never half of one. (This directory is in RAM. On a disk the
  // file is synced before it gets its name.)
  writeFileSync(`${path}.new`, JSON.stringify(snapshot));
  renameSync(`${path}.new`, path);
}

/** @param {string} directory */
export function loadSnapshot(directory) {
  const { accounts, position, channelId } = JSON.parse(readFileSync(pathIn(directory), 'utf8'));
  return { accounts: Accounts.fromJSON(accounts), position, channelId };
}
