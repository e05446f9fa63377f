/** A snapshot is a state and the offset that it stands for: that of the first event it doesn't have. */
import { readFileSync, renameSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Warehouse } from './warehouse.js';

/** @param {string} directory */
const pathIn = (directory) => join(directory, 'snapshot.json');

/**
 * @param {string} directory
 * @param {import('millrace/log').Log} log
 * @param {Warehouse} warehouse
 */
export async function saveSnapshot(directory, log, warehouse) {
  // Nothing may come between the state and its offset, so there is no `await` in this line.
  const [offset, text] = [log.next, JSON.stringify({ warehouse, offset: log.next })];
  // A snapshot of events that a power cut takes away would be a state that never was.
  await log.flush();
  const path = pathIn(directory);
  const file = await open(`${path}.new`, 'w');
  await file.writeFile(text);
  await file.sync();
  await file.close();
  // Whoever opens it finds the old one or the new one, never half of one.
  renameSync(`${path}.new`, path);
  return offset;
}

/** @param {string} directory @returns {{ warehouse: Warehouse, offset: number }} */
export function loadSnapshot(directory) {
  try {
    const { warehouse, offset } = JSON.parse(readFileSync(pathIn(directory), 'utf8'));
    return { warehouse: Warehouse.fromJSON(warehouse), offset };
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return { warehouse: new Warehouse(), offset: 0 };
  }
}
