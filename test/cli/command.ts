import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A running `millrace …`, and what it said so far. */
export class Running {
  readonly child: ChildProcess;
  readonly #outcome: Outcome = { code: null, stdout: '', stderr: '' };
  readonly #closed: Promise<unknown>;

  constructor(args: string[], stdin: 'ignore' | 'pipe' = 'ignore', env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [MAIN, ...args], {
      cwd: ROOT,
      stdio: [stdin, 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#closed = once(this.child, 'close');
    for (const stream of ['stdout', 'stderr'] as const) {
      this.child[stream]?.setEncoding('utf8').on('data', (text: string) => {
        this.#outcome[stream] += text;
      });
    }
  }

  get lines(): string[] {
    return linesOf(this.#outcome.stdout);
  }

  /** On standard error. */
  get said(): string {
    return this.#outcome.stderr;
  }

  async until(ready: (running: this) => boolean): Promise<void> {
    while (!ready(this)) {
      if (this.child.exitCode !== null) throw new Error(`It ended: ${JSON.stringify(this.#outcome)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Until it hears of signals, or does no more: SIGHUP is the one that Node.js itself leaves alone. */
  async untilHearing(hears = true): Promise<void> {
    const caught = () =>
      /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))?.[1];
    await this.until(() => ((Number.parseInt((caught() ?? '0').slice(-1), 16) & 1) !== 0) === hears);
  }

  async end(signal?: NodeJS.Signals): Promise<Outcome> {
    if (signal !== undefined) this.child.kill(signal);
    await this.#closed;
    this.#outcome.code = this.child.exitCode;
    return this.#outcome;
  }
}

export function millrace(...args: string[]): Promise<Outcome> {
  return new Running(args).end();
}

/** `millrace … < input` */
export function fed(input: string | Uint8Array, ...args: string[]): Promise<Outcome> {
  const running = new Running(args, 'pipe');
  // It may have seen enough before it has seen all.
  running.child.stdin?.on('error', () => {}).end(input);
  return running.end();
}

const TERMINAL = `import fcntl, os, pty, struct, sys, termios
rows, columns, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', int(rows), int(columns), 0, 0))
    os.execvp(command[0], command)
try:
    while data := os.read(terminal, 65536):
        os.write(1, data)
except OSError:
    pass
os.waitpid(child, 0)`;

/** A module: a second passes between two looks at the clock. */
const QUICK_CLOCK = `data:text/javascript,${encodeURIComponent('let now = 0; performance.now = () => (now += 1000);')}`;

/** What `millrace …`, or `millrace … > file`, shows on a terminal, which does not tell its size unless that is said. */
export async function onTerminal(args: string[], file?: string, rows = 0, columns = 0): Promise<string> {
  const whereTo = file === undefined ? [] : ['sh', '-c', 'file=$1; shift; exec "$@" > "$file"', 'sh', file];
  const command = [...whereTo, process.execPath, MAIN, ...args];
  const child = spawn('python3', ['-c', TERMINAL, String(rows), String(columns), ...command], {
    cwd: ROOT,
    // What goes elsewhere leaves the terminal to progress, which is shown now and then: however quick the machine.
    env: file === undefined ? process.env : { ...process.env, NODE_OPTIONS: `--import ${QUICK_CLOCK}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await once(child, 'close');
  return shown;
}

/** `millrace … | command`, with the exit code of millrace. */
export async function piped(args: string[], command: string): Promise<Outcome> {
  const outcome = await shell(`{ "$@"; echo "code $?" >&2; } | ${command}`, 'sh', args);
  const [said, code] = /code (\d+)\n/.exec(outcome.stderr) ?? [];
  return { ...outcome, code: Number(code), stderr: outcome.stderr.replace(said ?? '', '') };
}

/** A script of the shell that has `millrace …` as "$@", and a word as "$0". */
export async function shell(script: string, word: string, args: string[]): Promise<Outcome> {
  const child = spawn('sh', ['-c', script, word, process.execPath, MAIN, ...args], { cwd: ROOT });
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    outcome.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    outcome.stderr += text;
  });
  await once(child, 'close');
  return { ...outcome, code: child.exitCode };
}

/** Runs a module that has `Writer` and `path`, and kills it the hard way once it says that it is done. */
export async function dieAfter(path: string, work: string): Promise<void> {
  const source = `import { Writer } from 'millrace'; const path = ${JSON.stringify(path)}; ${work};
    setInterval(() => {}, 1000); console.log('done');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

export function objectsOf(text: string): Record<string, unknown>[] {
  return linesOf(text).map((line) => JSON.parse(line) as Record<string, unknown>);
}
