// Ways for messages to go to and fro between two event loops, one file each. `front(start, config)` and
// `back(config)` resolve with the two ends; `start` starts the back, in a process or a thread of its own, and
// resolves with that once its end is open. config has the `size` of messages, `oneWay` where they go only one way, an
// `address` that is free, and what else a way needs. An end has
//   send(number)      sends a message of that size with that number in it; false: room() is due before the next one
//   room()            resolves when there is room
//   listen(handler)   hands over the number and the last byte of each that comes, until the handler returns false;
//                     resolves then
// or, where the thread blocks, exchange(handler) instead of listen: one call for each message that comes.
import { rmSync } from 'node:fs';
import { log } from './log-crossing.js';
import { millrace } from './millrace.js';
import { postMessage } from './post-message.js';
import { processSend } from './process-send.js';
import { socket } from './socket.js';
import { zeromq } from './zeromq.js';

export const SIZE = 64;

export const crossings = { 'process.send': processSend, postMessage, socket, zeromq, millrace, log };

/** Those that are packages, which may not be installed. */
export const INSTALLED = ['zeromq'];

export function removeCrossing(address) {
  for (const path of [address, `${address}-there`, `${address}-back`])
    rmSync(path, { recursive: true, force: true });
}
