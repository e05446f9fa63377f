import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import * as L from '../../lib/log/cursors/cursor-layout.js';
import { CursorName } from '../../lib/log/cursors/cursor-name.js';
import { closingAll, openFile, pathIn } from './cursor-files.js';

closingAll();

/** As others do who delete the cursor of a slot, and set it anew in another one. */
function move(path: string, from: number, to: number): void {
  const file = openSync(path, 'r+');
  const slot = Buffer.alloc(L.SLOT_BYTES);
  const at = (place: number) => L.HEADER_BYTES + place * L.SLOT_BYTES;
  readSync(file, slot, 0, L.SLOT_BYTES, at(from));
  writeSync(file, slot, 0, L.SLOT_BYTES, at(to));
  slot.fill(0);
  slot.writeInt32LE(L.SLOT_FREE, L.STATE_OFFSET);
  writeSync(file, slot, 0, L.SLOT_BYTES, at(from));
  closeSync(file);
}

test('a cursor that is deleted and set again elsewhere while they are listed is listed once, as it stands', async () => {
  const { directory, file, cursor } = openFile();
  await cursor('moving').set(5);
  await cursor('staying').set(6);
  const { inSlot } = CursorName;
  let moved = 0;
  const looked = vi.spyOn(CursorName, 'inSlot').mockImplementation((slot) => {
    const name = inSlot(slot);
    if (name === 'staying' && moved++ === 0) move(pathIn(directory), 0, 2);
    return name;
  });
  const expected = [
    { name: 'moving', offset: 5, slot: 2 },
    { name: 'staying', offset: 6, slot: 1 },
  ];
  expect(file.list()).toMatchObject(expected);
  looked.mockRestore();
  expect(file.list()).toMatchObject(expected);
  expect(file.lowest()).toBe(5);
});
