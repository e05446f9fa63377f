import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Contenders } from '../../bench/trials/contenders.js';

const BENCH = fileURLToPath(new URL('../../bench/bench.js', import.meta.url));
const TOYS = fileURLToPath(new URL('./toy-trials.js', import.meta.url));
/** On a machine that others use. */
const TAKES_MS = 120_000;

const lacking = ['cc', 'taskset', 'setpriv', 'ipcrm'].filter(
  (tool) => spawnSync(tool, ['--version']).status !== 0,
);
if (os.availableParallelism() < 2) lacking.push('a second cpu');
const why = lacking.length > 0 ? ` (skipped: without ${lacking.join(', ')})` : '';

let into: string;
beforeEach(() => {
  into = mkdtempSync(join(os.tmpdir(), 'millrace-bench-test-'));
});
afterEach(() => rmSync(into, { recursive: true, force: true }));

/** A run of the benchmarks, its results put into the test's own folder. */
class Run {
  readonly child: ChildProcess;
  readonly closed: Promise<unknown[]>;
  text = '';

  constructor(script: string, ...args: string[]) {
    const words = [script, '--into', into, ...args];
    this.child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.closed = once(this.child, 'close');
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.text += text;
      });
    }
  }

  async code(): Promise<unknown> {
    const [code] = await this.closed;
    return code;
  }

  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found) return found;
      await Promise.race([
        once(this.child.stdout as NodeJS.ReadableStream, 'data'),
        this.closed.then(() => {
          if (!pattern.test(this.text)) throw new Error(`it ended without ${pattern}: ${this.text}`);
        }),
      ]);
    }
  }
}

function result(name: string) {
  return JSON.parse(readFileSync(join(into, `${name}.json`), 'utf8'));
}

/** One that ended and that nobody has asked about yet is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

describe.skipIf(lacking.length > 0)(`a run of the benchmarks${why}`, () => {
  test('measures, shows, saves and reports', { timeout: TAKES_MS }, async () => {
    const run = new Run(BENCH, 'waking', '--turns', '1', '--ms', '5', '--latencyMs', '5', '--restedMs', '20');
    expect(await run.code(), run.text).toBe(0);
    expect(run.text).toContain('Ways of waking another process');
    const saved = result('waking');
    expect(saved).toMatchObject({
      name: 'waking',
      set: 'quick',
      overriding: ['turns', 'ms', 'latencyMs', 'restedMs'],
      options: { turns: 1, ms: 5, latencyMs: 5, restedMs: 20 },
      cpus: [0, 1],
      machine: { node: process.version, millrace: expect.any(String), fileSystem: 'tmpfs' },
      load: { before: expect.anything(), after: expect.anything() },
    });
    expect(saved.placement.looks).toBeGreaterThan(3);
    expect(saved.results.rounds[0].facts.fifo.trips).toBeGreaterThan(0);
    expect(readFileSync(join(into, 'report.html'), 'utf8')).toContain('Ways of waking another process');
  });

  test('goes on after a trial that fails, and says so', { timeout: TAKES_MS }, async () => {
    const run = new Run(TOYS, 'one', 'failing', 'two');
    expect(await run.code(), run.text).toBe(1);
    expect(run.text).toContain('failing: FAILED, it is broken');
    expect(run.text).toContain('failed: failing');
    expect(run.text).toContain('0 met, 2 missed');
    expect(result('two').results).toEqual({ size: 8, batch: 1, values: [7, 21] });
    expect(readdirSync(into).sort()).toEqual(['one.json', 'report.html', 'two.json']);
    const page = readFileSync(join(into, 'report.html'), 'utf8');
    expect(page).toContain('absent: it is &#60;not&#62; there');
    expect(page.match(/<svg /g)?.length).toBe(4);
    expect(page).not.toContain('<script');
  });

  test('ends what a failed trial left behind, and goes on', { timeout: TAKES_MS }, async () => {
    const run = new Run(TOYS, 'leaving', 'two');
    const [, pid] = await run.said(/it left (\d+) behind/);
    expect(await run.code(), run.text).toBe(1);
    expect(isAlive(Number(pid))).toBe(false);
    expect(result('two').results.values).toEqual([7, 21]);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'that %s cuts short keeps what is valid, and leaves nothing behind',
    { timeout: TAKES_MS },
    async (signal) => {
      const run = new Run(TOYS, 'one', 'endless', 'three');
      const [, facts] = await run.said(/running (\{.*\})/);
      const { pids, folders } = JSON.parse(facts as string) as { pids: number[]; folders: string[] };
      expect(pids.filter(isAlive)).toEqual(pids);
      expect(folders.filter(existsSync)).toEqual(folders);
      run.child.kill(signal);
      expect(await run.code(), run.text).toBe(128 + os.constants.signals[signal]);
      expect(run.text).toContain('cut short, so without results: endless');
      expect(run.text).toContain('not begun: three');
      expect(result('one').results.values).toEqual([7, 21]);
      expect(existsSync(join(into, 'endless.json'))).toBe(false);
      expect(existsSync(join(into, 'report.html'))).toBe(true);
      expect(folders.filter(existsSync)).toEqual([]);
      await expect.poll(() => pids.filter(isAlive)).toEqual([]);
    },
  );

  test('names files that have no results, leaves them out, and goes on', { timeout: TAKES_MS }, async () => {
    const files = ['one.json', 'three.json', 'endless.json'].map((name) => join(into, name));
    const [one, three, endless] = files as [string, string, string];
    writeFileSync(one, '{');
    writeFileSync(three, '{');
    writeFileSync(endless, '{}');
    const nothing = new Run(TOYS, '--report-only');
    expect(await nothing.code(), nothing.text).toBe(0);
    for (const file of files) expect(nothing.text).toContain(`left out: ${file} can't be read: `);
    expect(nothing.text).toContain(`no results in ${into}`);
    const run = new Run(TOYS, 'one');
    expect(await run.code(), run.text).toBe(0);
    expect(result('one').results.values).toEqual([7, 21]);
    expect(run.text).toContain(`left out: ${three} can't be read: `);
    expect(run.text).not.toContain(`left out: ${one}`);
    const page = readFileSync(join(into, 'report.html'), 'utf8');
    expect(page).toContain('The trial one');
    expect(page).not.toContain('The trial three');
  });

  test('keeps the times of trips after pauses, which their rate does not tell', async () => {
    const contenders = new Contenders({ folder: into, cpus: [0, 1], node: [] });
    const child = new URL('./toy-child.js', import.meta.url);
    for (const [pauseMs, us] of [
      [5, { p50: 70 }],
      [0, undefined],
    ]) {
      const { turn, end } = await contenders
        .talking('toy', child, (ms: number) => `trips ${ms} ${pauseMs}`, {})
        .start();
      try {
        expect(await turn(10)).toMatchObject({ records: 2, perSecond: 200, us });
      } finally {
        await end();
      }
    }
  });

  test('leaves no shared memory behind, if it ends before its sides do', () => {
    const called = join(into, 'called');
    writeFileSync(join(into, 'ipcrm'), `#!/bin/sh\necho "$@" >> ${called}\n`, { mode: 0o755 });
    const sides = new URL('../../bench/trials/sides.js', import.meta.url);
    const script = `const { shmRingOneWay, shmRingRoundTrip } = await import('${sides}');
      const [ended, left] = [shmRingOneWay('', 64, 1), shmRingRoundTrip('', 64)];
      ended.cleanUp();
      console.log(ended.front[3], left.front[3], left.front[4]);
      process.exit(0);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, PATH: `${into}:${process.env.PATH}` },
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    const [ended, there, back] = stdout.trim().split(' ');
    expect(readFileSync(called, 'utf8')).toBe(`-M ${ended}\n-M ${there} -M ${back}\n`);
  });

  test('takes no word or option that it does not know', async () => {
    for (const [args, complaint] of [
      [['nonsense'], 'no trial has this word in its name: nonsense'],
      [['one', 'nonsense'], 'no trial has this word in its name: nonsense'],
      [['one', 'long'], 'only in the --full set: long'],
      [['one', '--hours', '2'], '--hours is no option of one'],
      [['--turns', 'many'], '--turns many is not a number above 0'],
    ] as const) {
      const run = new Run(TOYS, ...args);
      expect(await run.code(), run.text).toBe(2);
      expect(run.text).toContain(complaint);
      expect(readdirSync(into)).toEqual([]);
    }
  });

  test('takes no folder for results that is none, and measures nothing before it says so', async () => {
    for (const how of [[], ['--report-only']]) {
      const run = new Run(TOYS, 'one', ...how, '--into', TOYS);
      expect(await run.code(), run.text).toBe(2);
      expect(run.text).toContain(`${TOYS} takes no results: `);
      expect(run.text).not.toContain('The trial one');
    }
  });

  test('takes no folder for channels that is none', async () => {
    for (const dir of [join(into, 'nowhere'), TOYS]) {
      const run = new Run(TOYS, 'one', '--dir', dir);
      expect(await run.code(), run.text).toBe(2);
      expect(run.text).toContain(`--dir ${dir} takes no channels: `);
      expect(run.text).toContain('node bench.js [words of trial names]');
    }
  });
});
