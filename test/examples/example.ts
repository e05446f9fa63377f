import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { shmPath } from '../../lib/index.js';

const BASE = dirname(shmPath('any'));

export interface Run {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** All that it and its processes printed. */
  text: string;
  /** Files in the place for channels, and processes, that are of this run and still there. */
  left: string[];
}

/** Runs an example as a user does, until it and all of its processes have let go of the output. */
export function run(name: string): Promise<Run> {
  return runNode([mainOf(name)]);
}

/** Tests that an example leaves nothing behind when it is ended at the time that main.js prints such a line. */
export function testInterruptions(name: string, line: RegExp): void {
  test('leaves nothing behind on Ctrl-C', async () => {
    const { code, text, left } = await interrupt(name, line, 'SIGINT');
    expect(code, text).toBe(130);
    expect(left).toEqual([]);
  });

  test('leaves nothing behind when it is killed', async () => {
    const { signal, text, left } = await interrupt(name, line, 'SIGKILL');
    expect(signal, text).toBe('SIGKILL');
    expect(left).toEqual([]);
  });
}

function interrupt(name: string, line: RegExp, signal: NodeJS.Signals): Promise<Run> {
  // From within, so that it can't be over before the signal comes.
  const strike = `
    const { log } = console;
    if (process.send === undefined) console.log = (text) => {
      log(text);
      if (${line}.test(text)) process.kill(process.pid, '${signal}');
    };`;
  return runNode(['--import', `data:text/javascript,${encodeURIComponent(strike)}`, mainOf(name)]);
}

const mainOf = (name: string) => fileURLToPath(new URL(`../../examples/${name}/main.js`, import.meta.url));

async function runNode(given: string[]): Promise<Run> {
  const child = spawn(process.execPath, given, { stdio: ['ignore', 'pipe', 'pipe'] });
  // Where the test gives up before it ends; its own processes follow it.
  onTestFinished(() => void child.kill());
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  const [code, signal] = await once(child, 'close');
  return { code, signal, text, left: leftBy(child.pid as number) };
}

/** Each run has a directory with its process's id in the name, and its processes have that in their command lines. */
function leftBy(pid: number): string[] {
  const mark = `millrace-example-${pid}-`;
  const files = readdirSync(BASE).filter((name) => name.startsWith(mark));
  const processes = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && commandOf(name).includes(mark),
  );
  return [...files, ...processes.map((process) => `process ${process}`)];
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // It has just gone.
  }
}

/** The first group of a pattern that must be in the text, as a number. */
export function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`There is no ${pattern} in\n${text}`);
  return Number(found.replaceAll(',', ''));
}
