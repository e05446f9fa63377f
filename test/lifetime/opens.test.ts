import { expect, test } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { dropReaders } from './fixtures/dropped.js';
import { openAndClose } from './fixtures/opens.js';

test('opening and closing again and again leaves no mapping, no descriptor and no file', async () => {
  const { opens } = await openAndClose({ newPath, opens: 500 });
  expect(opens).toBeGreaterThanOrEqual(500);
});

test('readers that are dropped without a close are collected, with their mappings and slots', async () => {
  await dropReaders({ newPath, readers: 10 });
});
