/** What client and server have agreed on: two channels, and the types of the records in them. */
import { join } from 'node:path';

/** @param {string} directory */
export const pathsIn = (directory) => ({
  requests: join(directory, 'requests'),
  replies: join(directory, 'replies'),
});

/** A request's tag is its number; a cancellation has the tag of the request that is given up. */
export const Request = { CALL: 0, CANCEL: 1 };

/** A reply has the tag of its request. */
export const Reply = { RESULT: 0, FAILURE: 1 };
