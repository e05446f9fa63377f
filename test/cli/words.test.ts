import { expect, test } from 'vitest';
import { table } from '../../lib/cli/words.js';

test('a table has columns as wide as their widest cells, however many rows', () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [String(i), 'x']);
  const lines = table(['BASE', 'WHAT'], rows, ['BASE']);
  expect(lines).toHaveLength(200_001);
  expect([lines[0], lines[1], lines.at(-1)]).toEqual(['  BASE  WHAT', '     0  x', '199999  x']);
});
