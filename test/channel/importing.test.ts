import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

// As a user has it: compiled, in a process without a test runner.
const index = pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href;
const log = new URL('log/index.js', index).href;

function run(code: string): unknown {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

const nowhere = JSON.stringify(newPath());
const empty = JSON.stringify(newDirectory());
const opening = `
  const { Reader, Writer, inspect, openAll, MillraceError } = await import(${JSON.stringify(index)});
  const { Log } = await import(${JSON.stringify(log)});
  const codes = [];
  for (const work of [
    () => Writer.create(${nowhere}),
    () => Reader.open(${nowhere}),
    () => inspect(${nowhere}),
    () => openAll([]),
    () => openAll(${empty}),
    () => Log.open(${empty} + '/made'),
    () => Log.open(${empty}, { readOnly: true }),
  ]) {
    try { await work(); codes.push('opened'); }
    catch (error) { codes.push(error instanceof MillraceError && error.code); }
  }
  console.log(JSON.stringify(codes));
`;

test.each(['win32', 'darwin', 'freebsd'])(
  'importing works on %s, and opening says that it does not',
  (platform) => {
    const fake = `Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} });`;
    expect(run(fake + opening)).toEqual(Array(7).fill('ERR_PLATFORM'));
    expect(readdirSync(JSON.parse(empty))).toEqual([]);
  },
);

test('inside Electron opening says why it can not work there', () => {
  const fake = `Object.defineProperty(process, 'versions', { value: { ...process.versions, electron: '37.0.0' } });`;
  expect(run(fake + opening)).toEqual(Array(7).fill('ERR_EXTERNAL_BUFFERS'));
  expect(readdirSync(JSON.parse(empty))).toEqual([]);
});

test('importing loads no addon, starts nothing and keeps no process', () => {
  const code = `
    await import(${JSON.stringify(index)});
    const addons = process.report.getReport().sharedObjects.filter((name) => /millrace.*\\.node$/.test(name));
    console.log(JSON.stringify([addons, process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap')]));
  `;
  const [addons, active] = run(code) as [string[], string[]];
  expect(addons).toEqual([]);
  expect(active.filter((name) => /Timeout|Immediate|Worker|FS/.test(name))).toEqual([]);
});

test('require() works as import does', () => {
  const code = `
    import { createRequire } from 'node:module';
    const required = createRequire(import.meta.url)(${JSON.stringify(new URL(index).pathname)});
    const imported = await import(${JSON.stringify(index)});
    console.log(JSON.stringify(required.Writer === imported.Writer));
  `;
  expect(run(code)).toBe(true);
});

test('a worker opens what the main thread writes, and the other way round', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  const back = newPath();
  const worker = new Worker(
    `
      import(${JSON.stringify(index)}).then(async ({ Reader, Writer }) => {
        const writer = await Writer.create(${JSON.stringify(back)}, { capacity: '64KiB' });
        const reader = await Reader.open(${JSON.stringify(writer.path)}, { from: 'oldest', name: 'worker' });
        for await (const { data } of reader) writer.write('echo ' + data);
        reader.close();
        writer.close();
      });
    `,
    { eval: true },
  );
  const ended = new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
  using reader = await Reader.open(back, { wait: true, from: 'oldest', timeoutMs: 10_000 });
  const echoes: string[] = [];
  const listening = (async () => {
    for await (const { data } of reader) echoes.push(data.toString());
  })();
  for (let i = 0; i < 500; i++) await writer.send(String(i));
  writer.close();
  await listening;
  expect(echoes).toEqual(Array.from({ length: 500 }, (_, i) => `echo ${i}`));
  expect(await ended).toBe(0);
});
