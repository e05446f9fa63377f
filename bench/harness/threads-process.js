// Two threads that work together in one process: threads-process.js CONFIG (JSON)
//   script         what both run; front and back are its arguments
//   cpus           which one each is pinned to
//   sharedBytes    of two pieces of memory that they share
// The harness talks to each of them by a line of its own. They have a MessagePort to each other, too.
import { MessageChannel } from 'node:worker_threads';
import { startThread } from './thread.js';

const FIRST_LINE = 3;

const { script, front, back, cpus, sharedBytes } = JSON.parse(process.argv[2]);
const memory = [new SharedArrayBuffer(sharedBytes), new SharedArrayBuffer(sharedBytes)];
const { port1, port2 } = new MessageChannel();

startThread(script, front, cpus[0], { lineFd: FIRST_LINE, memory, port: port1 }, [port1]);
startThread(script, back, cpus[1], { lineFd: FIRST_LINE + 1, memory, port: port2 }, [port2]);
