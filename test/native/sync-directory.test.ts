import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { binding } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { ADDON, descriptorsIn, systemError } from './addon.js';

const native = binding();

test('the names in a directory are brought to its disk; what is no directory is refused', async () => {
  const directory = newDirectory();
  expect(await native.syncDirectory(directory)).toBeUndefined();
  const file = join(directory, 'file');
  writeFileSync(file, '');
  for (const [path, code] of [
    [join(directory, 'nothing'), 'ENOENT'],
    [file, 'ENOTDIR'],
  ]) {
    expect(await systemError(() => native.syncDirectory(path))).toMatchObject({ code, syscall: 'open' });
  }
  for (const wrong of [undefined, 1, 'with a \0']) {
    expect(() => native.syncDirectory(wrong as never)).toThrow(TypeError);
  }
});

test('a thread that is terminated meanwhile leaves no directory open', async () => {
  const directory = join(newDirectory(), 'watched');
  mkdirSync(directory);
  const code = `
    const native = require(${JSON.stringify(ADDON)});
    for (let i = 0; i < 50; i++) native.syncDirectory(${JSON.stringify(directory)});
    require('node:worker_threads').parentPort.postMessage('begun');
  `;
  for (let round = 0; round < 10; round++) {
    const worker = new Worker(code, { eval: true });
    await new Promise((begun) => worker.once('message', begun));
    await worker.terminate();
  }
  expect(descriptorsIn(join(directory, '..'))).toBe(0);
});
