import { expect, test } from 'vitest';
import { numberIn, run, testInterruptions } from './example.js';

test('answers find their requests, in any order, and a server that dies fails the rest', async () => {
  const { code, text, left } = await run('request-reply');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  const client = numberIn(text, /^client (\d+) is connected/m);
  const server = numberIn(text, /^client .* server (\d+)$/m);
  expect(server).not.toBe(client);

  const requests = numberIn(text, /^(\d+) requests are in flight/m);
  expect(requests).toBeGreaterThan(1000);
  expect(numberIn(text, /^(\d+) of them got their own answer/m)).toBe(requests);
  expect(text).toContain(`'key ${requests - 1}' was the first, 'key 0' the last`);

  expect(text).toContain("a failure in the server is one here: There is no 'dance'");
  expect(text).toMatch(/^given up after \d+ ms: TimeoutError; requests that wait in the server: 0$/m);

  expect(numberIn(text, /^kill -9 (\d+)/m)).toBe(server);
  const unanswered = numberIn(text, /while (\d+) requests wait in the server$/m);
  expect(unanswered).toBeGreaterThan(0);
  expect(numberIn(text, /^(\d+) requests failed with ERR_WRITER_DEAD$/m)).toBe(unanswered);
  expect(text).toContain('a request after that fails at once: ERR_WRITER_DEAD');
});

testInterruptions('request-reply', /are in flight/);
