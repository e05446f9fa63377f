import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { shmPath } from '../lib/index.js';

const MAIN = fileURLToPath(new URL('../examples/demo/main.js', import.meta.url));
const BASE = dirname(shmPath('any'));

const left = () => readdirSync(BASE).filter((name) => name.startsWith('millrace-demo-'));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A running demo, off a terminal. */
class Demo {
  readonly before = left();
  readonly child: ChildProcess;
  readonly closed: Promise<unknown[]>;
  text = '';

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [MAIN], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.closed = once(this.child, 'close');
    // Where a test gives up before it ends; its own processes follow it.
    onTestFinished(() => void this.child.kill());
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.text += text;
      });
    }
  }

  /** Processes that this demo started and that still run. */
  get children(): number[] {
    const { pid } = this.child;
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
    } catch {
      return [];
    }
  }

  async running(): Promise<number[]> {
    await this.said(/ writer [\d,]{6,}\/s/);
    return this.children;
  }

  async said(line: RegExp): Promise<void> {
    while (!line.test(this.text)) {
      if (this.child.exitCode !== null) throw new Error(this.text);
      await pause(20);
    }
  }

  get leavings(): string[] {
    return left().filter((name) => !this.before.includes(name));
  }
}

/** Those that were killed take a moment to go. */
async function gone(pids: number[]): Promise<boolean> {
  for (let tries = 0; tries < 200; tries++) {
    if (pids.every((pid) => !existsSync(`/proc/${pid}`))) return true;
    await pause(20);
  }
  return false;
}

/** A demo that has ended has counted everything, and nothing of it is left. */
async function expectCounted(demo: Demo): Promise<void> {
  const [code] = await demo.closed;
  const { text } = demo;
  expect(code, text).toBe(0);
  expect(text).not.toContain('\u001b');
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1].replaceAll(',', ''));
  const written = number(/^ {2}written +([\d,]+) records/m);
  expect(written).toBeGreaterThan(100_000);
  expect(number(/^ {2}audit +([\d,]+) records read/m)).toBe(written);
  expect(number(/^ {2}billing +([\d,]+) records read/m)).toBe(written);
  expect(text).toMatch(/lost: 0 {3}read twice: 0 {3}damaged: 0/);
  const killed = number(/killed after its report at ([\d,]+)/);
  expect(killed).toBeGreaterThan(0);
  expect(killed).toBeLessThan(written);
  expect(text).toMatch(/kill -9 \d+/);
  expect(text).toMatch(/audit has caught up within/);
  expect(number(/half of each of ([\d,]+) round trips/)).toBeGreaterThan(0);
  expect(demo.leavings).toEqual([]);
}

test('ends by itself, has counted everything, and leaves nothing behind', async () => {
  await expectCounted(new Demo());
});

test('loses nothing where a machine is slow to start the reader again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-demo-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const go = join(directory, 'go');
  const late = `
    import { existsSync } from 'node:fs';
    import { setTimeout as delay } from 'node:timers/promises';
    const isReader = process.argv[1].endsWith('reader.js');
    const comesBack = isReader && JSON.parse(process.argv[2]).saved.position > 0;
    while (comesBack && process.connected && !existsSync(${JSON.stringify(go)})) await delay(10);`;
  const demo = new Demo({ NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(late)}` });
  // Longer than the ring lasts at the steady pace: as long as it takes until the writer can't go on.
  await demo.said(/the writer waits/);
  writeFileSync(go, '');
  await expectCounted(demo);
});

test('ends at once on Ctrl-C, children and files with it', async () => {
  const demo = new Demo();
  const children = await demo.running();
  expect(children).toHaveLength(3);
  demo.child.kill('SIGINT');
  const [code] = await demo.closed;
  expect(code).toBe(130);
  expect(await gone(children)).toBe(true);
  expect(demo.leavings).toEqual([]);
});

test('fails when a child dies, and takes the others along', async () => {
  const demo = new Demo();
  const children = await demo.running();
  process.kill(children[2], 'SIGKILL');
  const [code] = await demo.closed;
  expect(code, demo.text).toBe(1);
  expect(demo.text).toMatch(/The demo failed: \w+ ended with SIGKILL/);
  expect(await gone(children)).toBe(true);
  expect(demo.leavings).toEqual([]);
});

test('its children end when it is killed, and tidy up', async () => {
  const demo = new Demo();
  const children = await demo.running();
  demo.child.kill('SIGKILL');
  await demo.closed;
  expect(await gone(children)).toBe(true);
  expect(demo.leavings).toEqual([]);
});
