import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let writer: ChildProcess | undefined;

afterEach(async () => {
  if (writer === undefined) return;
  writer.kill('SIGKILL');
  await once(writer, 'exit');
  writer = undefined;
});

/** A process that has appended 'one' and 'two', and has the log open; it is stopped, so that it changes nothing. */
async function stoppedWriter(directory: string): Promise<ChildProcess> {
  const source = `import { Log } from 'millrace/log'; const log = await Log.open(${JSON.stringify(directory)});
    log.append('one'); log.append('two'); await log.flush(); await log.cursor('known').set(1);
    await log.cursor('known').flush(); setInterval(() => {}, 1000); console.log('done');`;
  writer = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(writer.stdout as NodeJS.ReadableStream, 'data');
  writer.kill('SIGSTOP');
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${writer.pid}/status`, 'utf8'))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return writer;
}

function contents(directory: string) {
  return readdirSync(directory).map((name) => {
    const path = join(directory, name);
    return [name, statSync(path).mtimeMs, readFileSync(path).toString('latin1')] as const;
  });
}

test('a log tells whether somebody has it open to append', async () => {
  const directory = newDirectory();
  const log = await Log.open(directory);
  const reading = await Log.open(directory, { readOnly: true });
  expect([log.hasWriter, reading.hasWriter]).toEqual([true, true]);
  await log.close();
  expect(reading.hasWriter).toBe(false);
  await reading.close();
});

describe('beside a live writer', () => {
  test('who may change nothing sees its cursors, and changes nothing', async () => {
    const directory = newDirectory();
    await stoppedWriter(directory);
    const before = contents(directory);
    await using log = await Log.open(directory, { readOnly: true });
    expect([log.hasWriter, log.cursors()]).toEqual([true, [{ name: 'known', offset: 1, lag: 1 }]]);
    expect(await failure(() => log.cursor('known').set(2))).toMatchObject({ code: 'ERR_PERMISSION' });
    expect(contents(directory)).toEqual(before);
  });

  test('who may change no records sets cursors, and the writer sees them', async () => {
    const directory = newDirectory();
    const child = await stoppedWriter(directory);
    const log = await Log.open(directory, { readOnly: 'records' });
    expect(log.recovery).toBeUndefined();
    expect(thrown(() => log.append('three'))).toMatchObject({ code: 'ERR_PERMISSION' });
    const read: string[] = [];
    for await (const { value } of log.read({ cursor: 'mine' })) read.push(value.toString());
    expect(read).toEqual(['one', 'two']);
    await log.cursor('known').set(2);
    await log.close();
    child.kill('SIGKILL');
    await once(child, 'exit');
    writer = undefined;
    await using next = await Log.open(directory);
    expect([next.next, next.recovery?.setAside]).toEqual([2, []]);
    expect(next.cursors()).toEqual([
      { name: 'known', offset: 2, lag: 0 },
      { name: 'mine', offset: 2, lag: 0 },
    ]);
  });
});

test('readOnly takes no other words', async () => {
  const error = await failure(() => Log.open(newDirectory(), { readOnly: 'cursors' as never }));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
});
