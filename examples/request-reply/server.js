/** Keeps values under keys. Who asks for a key that has no value yet is answered when it gets one. */
import { json, Reader, Writer } from 'millrace';
import { directory } from '../shared/child.js';
import { pathsIn, Reply, Request } from './protocol.js';

const paths = pathsIn(directory);
const requests = await Reader.open(paths.requests, { wait: true, from: 'oldest', gate: true, codec: json });
// Last, since clients wait for it: from here on no request can be overwritten before it is read.
const replies = await Writer.create(paths.replies, { codec: json, timestamps: true });

/** @type {Map<string, unknown>} */
const values = new Map();
/** The key that each request waits for, by the request's tag. @type {Map<number, string>} */
const waiting = new Map();

for await (const { type, tag, value } of requests) {
  if (type === Request.CANCEL) waiting.delete(tag);
  else await answer(tag, value);
}
replies.close();
requests.close();

async function answer(tag, request) {
  switch (request.call) {
    case 'get':
      if (values.has(request.key)) await reply(tag, values.get(request.key));
      else waiting.set(tag, request.key);
      break;
    case 'set':
      values.set(request.key, request.value);
      await reply(tag, true);
      await answerWaiting(request.key);
      break;
    case 'count waiting':
      await reply(tag, waiting.size);
      break;
    default:
      await replies.send(`There is no '${request.call}'`, { type: Reply.FAILURE, tag });
  }
}

async function answerWaiting(key) {
  for (const [tag, wanted] of waiting) {
    if (wanted !== key) continue;
    waiting.delete(tag);
    await reply(tag, values.get(key));
  }
}

/** Waits for room where the client is behind; the client reads while it writes, so that it is never for long. */
function reply(tag, value) {
  return replies.send(value, { type: Reply.RESULT, tag });
}
