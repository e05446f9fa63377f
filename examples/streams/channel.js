/** The channel between sender and receiver: a small ring, so that not much can be under way. */
import { join } from 'node:path';

/** The largest record is an eighth of it; what gzip hands out has up to 16 KiB. */
export const CAPACITY = 256 * 1024;

/** @param {string} directory */
export const channelIn = (directory) => join(directory, 'compressed');
