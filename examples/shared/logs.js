/** What the examples about logs have in common. */
import { join } from 'node:path';

/** Their log: a directory in the example's own. @param {string} directory */
export const logIn = (directory) => join(directory, 'log');
