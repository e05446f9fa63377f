// Builds the addon under a sanitizer and runs the tests of the addon and of lifetimes on it:
//
//   node scripts/sanitize.js address|undefined|thread [arguments of vitest]
//
// Needs gcc with its sanitizer libraries. What a sanitizer finds ends the process that it is found in.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const KINDS = {
  address: { library: 'libasan.so', symbol: '__asan_init', env: { ASAN_OPTIONS: 'detect_leaks=0' } },
  undefined: {
    library: 'libubsan.so',
    symbol: '__ubsan_handle',
    flags: '-fno-sanitize-recover=all',
    env: { UBSAN_OPTIONS: 'print_stacktrace=1' },
  },
  // Node itself is not instrumented: of memory that only it touches nothing is reported.
  thread: {
    library: 'libtsan.so',
    symbol: '__tsan_init',
    env: { TSAN_OPTIONS: 'halt_on_error=1:ignore_noninstrumented_modules=1' },
    // Its shadow memory has no place for what the kernel lays out at random.
    before: ['setarch', '-R'],
  },
};
const TESTS = ['test/native', 'test/lifetime', 'test/crash/threads.test.ts'];

const [name, ...rest] = process.argv.slice(2);
const kind = KINDS[name];
if (kind === undefined) stop(`Which one? There are ${Object.keys(KINDS).join(', ')}`);

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), `millrace-${name}-`));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

for (const part of ['native', 'binding.gyp', 'package.json']) {
  cpSync(join(root, part), join(folder, part), { recursive: true });
}
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
const sanitize = `-fsanitize=${name} -fno-omit-frame-pointer -g ${kind.flags ?? ''}`;
run([join(root, 'node_modules/.bin/node-gyp'), 'rebuild', '-C', folder], {
  CXXFLAGS: sanitize,
  LDFLAGS: `-fsanitize=${name}`,
});
if (!readFileSync(join(folder, 'build/Release/millrace.node')).includes(kind.symbol)) {
  stop(`The addon was not built with -fsanitize=${name}`);
}
const library = spawnSync('gcc', [`-print-file-name=${kind.library}`], { encoding: 'utf8' }).stdout.trim();
const vitest = [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run'];
const chosen = rest.length > 0 ? rest : TESTS;
// The runner's own children load the addon, too: all of them find it under this name.
run([...(kind.before ?? []), ...vitest, ...chosen], {
  ...kind.env,
  MILLRACE_PREBUILD: folder,
  LD_PRELOAD: library,
});

function run([command, ...args], env) {
  const { status, signal } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status !== 0) stop(`${command} ended with ${signal ?? status}`);
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
