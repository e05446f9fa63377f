#!/usr/bin/env node
/**
 * Calls to another process, over two channels: one for requests, one for replies.
 * Run it with: node examples/request-reply/main.js
 */
import { directory, kill, start } from '../shared/processes.js';
import { Client } from './client.js';

const KEYS = 2000;
const UNANSWERED = 100;
const PATIENCE_MS = 50;

const server = start(new URL('server.js', import.meta.url));
const client = await Client.connect(directory);
console.log(`client ${process.pid} is connected to server ${server.pid}`);

await askOutOfTurn();
await askForNonsense();
await askInVain();
await loseServer();
client.close();

/** Each `get` waits in the server for its `set`, and those come the other way round. */
async function askOutOfTurn() {
  const keys = Array.from({ length: KEYS }, (_, n) => `key ${n}`);
  /** @type {string[]} */
  const answered = [];
  const gets = keys.map(async (key) => {
    const value = await client.request({ call: 'get', key });
    answered.push(key);
    return value === `value of ${key}`;
  });
  console.log(`${client.inFlight} requests are in flight`);
  const sets = keys.toReversed().map((key) => client.request({ call: 'set', key, value: `value of ${key}` }));
  await Promise.all(sets);
  const right = (await Promise.all(gets)).filter(Boolean).length;
  console.log(
    `${right} of them got their own answer; '${answered[0]}' was the first, '${answered.at(-1)}' the last`,
  );
}

async function askForNonsense() {
  const error = await failureOf(client.request({ call: 'dance' }));
  console.log(`a failure in the server is one here: ${error.message}`);
}

async function askInVain() {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const error = await failureOf(client.request({ call: 'get', key: 'never set' }, { signal }));
  // It comes behind the cancellation, on the same channel.
  const waiting = await client.request({ call: 'count waiting' });
  console.log(
    `given up after ${PATIENCE_MS} ms: ${error.name}; requests that wait in the server: ${waiting}`,
  );
}

async function loseServer() {
  const failures = Array.from({ length: UNANSWERED }, () =>
    failureOf(client.request({ call: 'get', key: 'never set' })),
  );
  const waiting = await client.request({ call: 'count waiting' });
  console.log(`kill -9 ${server.pid}, while ${waiting} requests wait in the server`);
  await kill(server);
  const dead = (await Promise.all(failures)).filter(({ code }) => code === 'ERR_WRITER_DEAD').length;
  console.log(`${dead} requests failed with ERR_WRITER_DEAD`);
  const { code } = await failureOf(client.request({ call: 'count waiting' }));
  console.log(`a request after that fails at once: ${code}`);
}

/** @param {Promise<unknown>} request */
function failureOf(request) {
  return request.then(
    () => Promise.reject(new Error('It should have failed')),
    (error) => error,
  );
}
