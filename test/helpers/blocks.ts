import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, shmPath } from '../../lib/index.js';
import { newDirectory } from './run-directory.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TIME_LIMIT_MS = 30_000;
/** On a machine that has other things to do. */
const COMPILE_TIME_LIMIT_MS = 180_000;

/** A fenced block of a Markdown page. */
export interface Block {
  language: string;
  code: string;
  /** Line of the page that the fence is on, from 1. */
  line: number;
}

export function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```(\w+)[^\n]*\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1],
    code: match[2],
    line: page.slice(0, match.index).split('\n').length,
  }));
}

/** What a block says it prints: the text of each comment `//=> text` (`#=> text` in a shell block), in order. */
export function promisedOutput(block: Block): string[] {
  const mark = block.language === 'sh' ? /#=> ?(.*)$/gm : /\/\/=> ?(.*)$/gm;
  return [...block.code.matchAll(mark)].map(([, text]) => text.trimEnd());
}

/**
 * This checkout as a package of its own, compiled from the sources as they are now: what users import. A stale or
 * missing dist/ makes no difference.
 */
export function buildPackage(): string {
  const home = join(newDirectory(), 'millrace');
  mkdirSync(home);
  for (const name of ['package.json', 'binding.gyp']) cpSync(join(ROOT, name), join(home, name));
  for (const name of ['build', 'prebuilds', 'node_modules']) {
    if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(home, name));
  }
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  // `npm run lint` checks the types.
  const options = ['--noCheck', '--declaration', 'false', '--outDir', join(home, 'dist')];
  run(process.execPath, [compiler, '-p', 'tsconfig.build.json', ...options], ROOT, COMPILE_TIME_LIMIT_MS);
  return home;
}

/** An empty directory in which `import 'millrace'` and `npx millrace` find that package. */
export function userDirectory(packageHome: string): string {
  const directory = newDirectory();
  mkdirSync(join(directory, 'node_modules/.bin'), { recursive: true });
  symlinkSync(packageHome, join(directory, 'node_modules/millrace'));
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }\n');
  const command = join(packageHome, 'dist/cli/main.js');
  if (existsSync(command)) {
    chmodSync(command, 0o755);
    symlinkSync(command, join(directory, 'node_modules/.bin/millrace'));
  }
  return directory;
}

/**
 * Runs a js, ts or sh block as it stands, in a directory of its own. Throws if it fails, doesn't end, or prints
 * something else than it says. A block that says nothing of its output may print what it likes.
 */
export function runBlock(block: Block, packageHome: string): void {
  const directory = userDirectory(packageHome);
  const printed = block.language === 'sh' ? runLines(block, directory) : runModule(block, directory);
  const promised = promisedOutput(block);
  if (promised.length === 0) return;
  const lines = printed.replace(/\n$/, '').split('\n');
  if (lines.join('\n') === promised.join('\n')) return;
  throw new Error(
    `It says that it prints\n  ${promised.join('\n  ')}\nbut it prints\n  ${lines.join('\n  ')}`,
  );
}

/** The same for a block that makes channels: none is in its way, and none is left behind. */
export function tryBlock(block: Block, packageHome: string): void {
  removeChannels(block);
  try {
    runBlock(block, packageHome);
  } finally {
    removeChannels(block);
  }
}

/**
 * Blocks use real names in /dev/shm, as users do, perhaps with their process's id in it; what a block leaves there is
 * in the way of its next run. What belongs to a process that runs is left alone.
 */
function removeChannels(block: Block): void {
  const directory = dirname(shmPath('any'));
  for (const [, name] of block.code.matchAll(/shmPath\(\s*['"`]([^'"`]+)['"`]\s*\)/g)) {
    const parts = name.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.]/g, '\\.'));
    const like = new RegExp(`^${parts.join('(\\d+)')}$`);
    for (const file of readdirSync(directory)) {
      const match = like.exec(file);
      if (match === null || existsSync(`/proc/${match[1]}`)) continue;
      const path = join(directory, file);
      if (inspect(path).status !== 'alive') rmSync(path);
    }
  }
}

function runModule(block: Block, directory: string): string {
  writeFileSync(join(directory, 'block.js'), block.code);
  return run(process.execPath, ['block.js'], directory);
}

/** The lines of a shell block that a user would type to try it; the others need a network or a release. */
function runLines(block: Block, directory: string): string {
  if (existsSync(join(ROOT, 'examples')))
    cpSync(join(ROOT, 'examples'), join(directory, 'examples'), { recursive: true });
  return shellLines(block)
    .filter((line) => /^(npx millrace|node)\s/.test(line))
    .map((line) => run('/bin/sh', ['-c', line], directory))
    .join('');
}

/** The commands of a shell block, lines that go on after a backslash joined. */
export function shellLines(block: Block): string[] {
  return block.code
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/^\$ /, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** npm's own commands that are no scripts of a package. */
const NPM_COMMANDS = new Set(['install', 'i', 'ci', 'pack', 'init']);

/** The scripts that the `npm …` lines of a shell block run. */
export function npmScripts(block: Block): string[] {
  return shellLines(block)
    .map((line) => /^npm (?:run (?:--?\S+ )*(\S+)|(\S+))/.exec(line))
    .flatMap((match) => (match === null ? [] : [match[1] ?? match[2]]))
    .filter((script) => !NPM_COMMANDS.has(script));
}

function run(command: string, given: string[], cwd: string, timeLimitMs = TIME_LIMIT_MS): string {
  const result = spawnSync(command, given, {
    cwd,
    encoding: 'utf8',
    timeout: timeLimitMs,
    killSignal: 'SIGKILL',
    // A command that isn't there must fail, and not be looked for in a registry. What is left in the temporary directory
    // goes with the block's own.
    env: {
      ...process.env,
      TMPDIR: cwd,
      npm_config_offline: 'true',
      npm_config_yes: 'false',
      NODE_OPTIONS: '',
    },
  });
  if (result.error !== undefined) throw result.error;
  if (result.status === 0) return result.stdout;
  const how = result.status === null ? `was ended by ${result.signal}` : `ended with ${result.status}`;
  throw new Error(`${command} ${given.join(' ')} ${how}\n${result.stdout}${result.stderr}`);
}
