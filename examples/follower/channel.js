/** The channel between the leader and its followers: a ring, so that it goes on for ever in a bounded space. */
import { join } from 'node:path';

export const CAPACITY = 256 * 1024;

/** @param {string} directory */
export const channelIn = (directory) => join(directory, 'transfers');
