import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { floorSources } from '../../bench/harness/floor.js';

test('C programs are compiled again when anything changes that they include', () => {
  const sources = floorSources();
  const included = sources
    .filter((file) => /\/floor\/.*\.[ch]$/.test(file))
    .flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/^#include "(.+)"/gm)].map(([, name]) =>
        join(dirname(file), name as string),
      ),
    );
  expect(included).not.toEqual([]);
  expect(included.filter((file) => !sources.includes(file))).toEqual([]);
});
