import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { isRoot } from '../helpers/nobody.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';
import { linesOf, millrace, objectsOf, Running, shell } from './command.js';

const dist = (path: string) => pathToFileURL(`${import.meta.dirname}/../../dist/${path}`).href;

/** The environment of a command, and of the processes that it starts, in which this is done first; it has `native`. */
function having(work: string): NodeJS.ProcessEnv {
  const source = `import { binding } from '${dist('native.js')}'; const native = binding(); ${work}`;
  return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(source)}` };
}

/** Nobody is woken, and who sleeps does so for long. */
const UNWOKEN = (everyMs: number) => `native.wake = () => {};
  const { ROUNDS_FOR_RECORDS } = await import('${dist('channel/waiting/rounds.js')}'); ROUNDS_FOR_RECORDS.everyMs = ${everyMs};`;

interface Found {
  state: string;
  message: string;
}

/** What is found, by what was looked at. */
async function examine(directory: string, env: NodeJS.ProcessEnv = {}) {
  const { code, stdout, stderr } = await new Running(['doctor', directory, '--json'], 'ignore', env).end();
  expect(stderr).toBe('');
  const found: Record<string, Found> = {};
  for (const { check, state, message } of objectsOf(stdout)) {
    found[String(check)] = { state: String(state), message: String(message) };
  }
  return { code, found };
}

const TRIED = ['names', 'channel', 'locks'];

test.each([
  ['memory', () => newDirectory()],
  ['a disk', () => tmpdir()],
])('what is fit in %s is ok, and nothing is left behind', async (_, directoryOf) => {
  const directory = directoryOf();
  const { code, found } = await examine(directory);
  expect(code).toBe(0);
  for (const check of ['system', 'node', 'addon', 'boot id', ...TRIED])
    expect(found[check]?.state).toBe('ok');
  for (const check of ['wake', 'futex']) expect(found[check].message).toContain('woken by another process');
  expect(found.addon.message).toMatch(/^loaded from \/.+\.node$/);
  expect(found['file system'].message).toContain(`${directory} is on `);
  if (found['file system'].message.includes('in memory')) expect(found.sync).toBeUndefined();
  else
    expect(found.sync.message).toMatch(/^half of \d+ syncs took [\d.]+ ms or less, the slowest [\d.]+ ms$/);
  expect(readdirSync(directory).filter((name) => name.includes('millrace-doctor'))).toEqual([]);
});

test('tells people on a line each', async () => {
  const { code, stdout, stderr } = await millrace('doctor', newDirectory());
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const line of linesOf(stdout)) expect(line).toMatch(/^(ok {5}|warning) {2}[a-z ]{17} {2}\S/);
});

describe('what does not work is found', () => {
  test.each([
    ['locks', 'fault', 'does not see that one is held', 'native.isByteLocked = () => false;'],
    ['locks', 'fault', 'still held by a process that was killed', 'native.isByteLocked = () => true;'],
    [
      'names',
      'fault',
      'a name was given twice',
      `const { linkFile } = native; native.linkFile = (...args) => { try { linkFile(...args) } catch {} };`,
    ],
    ['wake', 'warning', "can't be woken here", 'native.fenceOthers = () => false;'],
    ['futex', 'warning', "can't be woken here", 'native.fenceOthers = () => false;'],
    ['wake', 'warning', 'is not woken', UNWOKEN(300)],
    ['futex', 'warning', 'is not woken', UNWOKEN(300)],
    [
      'channel',
      'fault',
      'use another directory, on a tmpfs or a local disk (ERR_FILESYSTEM)',
      `const refused = { errno: 95, code: 'EOPNOTSUPP', syscall: 'fallocate' };
       native.createFile = () => Promise.reject(Object.assign(new Error('fallocate'), refused));`,
    ],
    [
      'channel',
      'fault',
      "read 'hullo'",
      `
      const { Reader } = await import('${dist('index.js')}');
      Reader.prototype.read = () => ({ data: Buffer.from('hullo') });`,
    ],
    [
      'boot id',
      'fault',
      'mount /proc',
      `
      const { environment } = await import('${dist('channel/index.js')}');
      environment.bootId = () => { throw new Error('none') };`,
    ],
    [
      'node',
      'fault',
      'needs Node.js 20.19',
      `Object.defineProperty(process.versions, 'node', { value: '20.9.0' });`,
    ],
  ])('%s: %s, %s', async (check, state, message, work) => {
    const directory = newDirectory();
    const { code, found } = await examine(directory, having(work));
    expect(found[check]?.message).toContain(message);
    expect({ code, state: found[check].state }).toEqual({ code: state === 'fault' ? 1 : 0, state });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('slow syncs, on a disk', async () => {
    const slow = `const { flushFrames } = native;
      native.flushFrames = async (...args) => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return flushFrames(...args);
      };`;
    const { code, found } = await examine(tmpdir(), having(slow));
    // Where the temporary directory is in memory there is nothing to measure.
    if (found['file system'].message.includes('in memory')) return;
    expect(found.sync).toMatchObject({
      state: 'warning',
      message: expect.stringContaining('append in batches'),
    });
    expect(code).toBe(0);
  });

  test('a file system that is refused', async () => {
    const { code, found } = await examine('/proc');
    expect(code).toBe(1);
    expect(found['file system']).toMatchObject({
      state: 'fault',
      message: expect.stringContaining('ERR_FILESYSTEM'),
    });
    expect(found.channel).toBeUndefined();
  });

  test('few descriptors, and files that may not be large', async () => {
    const script = 'ulimit -n 256; ulimit -f 131072; exec "$@"';
    const { code, stdout } = await shell(script, 'sh', ['doctor', newDirectory()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^warning {2}open files +256 a process; .*ulimit -n/m);
    expect(stdout).toMatch(/^warning {2}file size +(64|128) MiB at most; .*ulimit -f/m);
  });

  test.skipIf(!isRoot)('a directory that may not be written (needs root, to drop it)', async () => {
    // On a disk, where there is more to try.
    const directory = mkdtempSync(join(tmpdir(), 'millrace-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    chmodSync(directory, 0o755);
    const { code, found } = await examine(directory, having('process.setgid(65534); process.setuid(65534);'));
    const faults = Object.keys(found).filter((check) => found[check].state === 'fault');
    expect({ code, faults }).toEqual({ code: 1, faults: ['channel'] });
    expect(found.channel).toMatchObject({
      state: 'fault',
      message: expect.stringContaining('let this user write'),
    });
  });
});

const small = isRoot ? mountSmall() : undefined;

function mountSmall(): string | undefined {
  const directory = newDirectory();
  const options = 'size=4m,nr_inodes=50';
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  return status === 0 ? directory : undefined;
}

describe.skipIf(small === undefined)('on a tmpfs of 4 MiB (needs root, to mount one)', () => {
  const directory = small as string;
  afterAll(() => {
    spawnSync('umount', ['-l', directory]);
  });

  test('little room is a warning, and none a fault', async () => {
    const roomy = await examine(directory);
    expect(roomy.code).toBe(0);
    expect(roomy.found.room).toMatchObject({
      state: 'warning',
      message: expect.stringContaining('--shm-size'),
    });
    expect(roomy.found.inodes).toMatchObject({
      state: 'warning',
      message: expect.stringContaining('of 50 are free'),
    });
    expect(roomy.found.channel.state).toBe('ok');
    writeFileSync(join(directory, 'filler'), Buffer.alloc(4 * 2 ** 20 - 16384));
    const full = await examine(directory);
    expect(full.code).toBe(1);
    expect(full.found.channel).toMatchObject({
      state: 'fault',
      message: expect.stringContaining('ERR_NO_SPACE'),
    });
    expect(readdirSync(directory)).toEqual(['filler']);
  });
});

describe('ended in the midst of the trial', () => {
  test.each(['SIGKILL', 'SIGINT'] as const)('by %s nothing is left behind', async (signal) => {
    const directory = newDirectory();
    // The other process sleeps by then, and would for long.
    const running = new Running(['doctor', directory], 'ignore', having(UNWOKEN(2000)));
    await running.until(({ lines }) => lines.some((line) => line.startsWith('ok       channel ')));
    const { pid } = running.child;
    const [other] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
    expect(existsSync(`/proc/${other}`)).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
    const { code, stdout, stderr } = await running.end(signal);
    const said = `millrace: interrupted before all of ${directory} was looked at (ERR_ABORTED)\n`;
    expect({ code, stderr }).toEqual(
      signal === 'SIGINT' ? { code: 1, stderr: said } : { code: null, stderr: '' },
    );
    expect(stdout).not.toContain('fault');
    while (existsSync(`/proc/${other}`)) await new Promise((resolve) => setImmediate(resolve));
    expect(readdirSync(directory)).toEqual([]);
  });
});

test('for the directory of a log that around it is tried, and nothing changes in the log', async () => {
  const around = newDirectory();
  const directory = join(around, 'log');
  await (await Log.open(directory)).close();
  const before = contentsOf(directory);
  const { code, found } = await examine(directory);
  expect(code).toBe(0);
  expect(found.log).toEqual({
    state: 'ok',
    message: `${directory} has a log in it: ${around}, around it, is tried`,
  });
  expect(found['file system'].message).toContain(`${around} is on `);
  expect(contentsOf(directory)).toEqual(before);
});

test('wrong use', async () => {
  const file = join(newDirectory(), 'file');
  writeFileSync(file, '');
  for (const [args, code, hint] of [
    [['a', 'b'], 2, 'one directory at a time'],
    [[file], 1, 'doctor is about a directory'],
    [[`${file}-gone`], 1, '(ERR_NOT_FOUND)'],
  ] as const) {
    const outcome = await millrace('doctor', ...args);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toContain(hint);
  }
});
