import { expect, test } from 'vitest';
import { Book, orderNumber } from '../../examples/journal/orders.js';
import { numberIn, run, testInterruptions } from './example.js';

/** What the state must be after so many orders, without any log. */
function stateAfter(count: number): string {
  const book = new Book();
  for (let number = 0; number < count; number++) book.enter(orderNumber(number));
  return book.hash();
}

test('a service that is killed replays its journal, and lacks nothing that it acknowledged', async () => {
  const { code, text, left } = await run('journal');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  const killedAt = [...text.matchAll(/^killed after it had acknowledged (\d+)/gm)].map(([, n]) => Number(n));
  const replayed = [...text.matchAll(/^replayed (\d+) orders/gm)].map(([, n]) => Number(n));
  expect(killedAt.length).toBe(3);
  expect(replayed.length).toBe(4);
  expect(replayed[0]).toBe(0);
  for (const [life, orders] of killedAt.entries()) {
    expect(orders).toBeGreaterThan(replayed[life]);
    expect(replayed[life + 1]).toBeGreaterThanOrEqual(orders);
  }
  expect(text.match(/\(recovery\.after: 'process'\)$/gm)?.length).toBe(3);

  const total = numberIn(text, /(\d+) orders, state/);
  expect(numberIn(text, /^stopped after it had acknowledged (\d+)/m)).toBe(total);
  expect(text).toContain(`${total} orders, state ${stateAfter(total)}\n`);
  expect(stateAfter(total)).not.toBe(stateAfter(total - 1));
});

testInterruptions('journal', /^replayed [1-9]/);
