import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A process that has a log open to append, and is stopped: it lives, and changes nothing. */
export class StoppedWriter {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** `work` is the source of a module's end, which has `log`. */
  static async after(directory: string, work: string): Promise<StoppedWriter> {
    const source = `import { Log } from 'millrace/log'; const log = await Log.open(${JSON.stringify(directory)});
      ${work}; await log.flush(); setInterval(() => {}, 1000); console.log('done');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGSTOP');
    while (!/^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    return new StoppedWriter(child);
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

/** All there is to see of a directory: names, times and bytes. */
export function contentsOf(directory: string) {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const stat = statSync(path);
      const bytes = stat.isDirectory() ? '' : readFileSync(path).toString('latin1');
      return { name, mtimeMs: stat.mtimeMs, mode: stat.mode, bytes };
    });
}
