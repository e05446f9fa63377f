import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as layout from '../../lib/log/cursors/cursor-layout.js';

const page = readFileSync(new URL('../../docs/log-format.md', import.meta.url), 'utf8');
const [, section] = page.split('\n## Cursors\n');
const [, header, slot] = section.split('\n### ');
const offsetsIn = (text: string) => [...text.matchAll(/^\| (\d+) \|/gm)].map(([, offset]) => Number(offset));

const OF_A_SLOT = /^(STATE|NAME|NAME_LENGTH|NAME_CRC|COPIES|SEQUENCE|OWNER|VALUE|COPY_CRC)_OFFSET$/;

test.each(Object.entries(layout).filter(([name]) => name.endsWith('_OFFSET')))(
  'docs/log-format.md has %s',
  (name, offset) => {
    expect(offsetsIn(OF_A_SLOT.test(name) ? slot : header)).toContain(offset);
  },
);

test.each(Object.entries(layout).filter(([name]) => /^(MOVED|SLOT_(FREE|USED|DELETED))$/.test(name)))(
  'docs/log-format.md has the value of %s',
  (_, value) => {
    expect(section).toContain(`0x${value.toString(16)}`);
  },
);

test('docs/log-format.md has the sizes', () => {
  const { HEADER_BYTES, SLOT_BYTES, COPY_BYTES, NAME_BYTES, FIRST_SLOTS, MOST_SLOTS, MAGIC } = layout;
  expect(section).toContain(`${HEADER_BYTES} + ${SLOT_BYTES} × slots`);
  expect(section).toContain(`| ${COPY_BYTES} bytes | first copy`);
  expect(section).toContain(`| ${NAME_BYTES} bytes | name`);
  expect(section).toContain(`one slot a cursor, ${FIRST_SLOTS} at first`);
  expect(section).toContain(`slots, 1 to ${MOST_SLOTS}`);
  expect(section).toContain(`\`${MAGIC}\``);
});
