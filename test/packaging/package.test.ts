import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKING_MS = 300_000;
const OLDEST_GLIBC = '2.28';
/** What a clone has not. */
const UNTRACKED = new Set(['.git', 'node_modules', 'build', 'dist', 'prebuilds', 'coverage', 'results']);

// Not on /dev/shm, which containers often mount without leave to execute: an addon couldn't be loaded from there.
const home = mkdtempSync(join(tmpdir(), 'millrace-packaging-'));
const checkout = join(home, 'checkout');
const user = join(home, 'user');
const installed = join(user, 'node_modules/millrace');
const tools = join(home, 'bin');

let tarball: string;
let packed: string[];
/** Why the tarball could not be installed here; nothing that is the package's fault. */
let unreachable: string | undefined;

interface Result {
  status: number | null;
  output: string;
}

function run(command: string, given: string[], cwd: string, env = process.env): Result {
  const { status, stdout, stderr, error } = spawnSync(command, given, { cwd, env, encoding: 'utf8' });
  if (error) throw error;
  return { status, output: stdout + stderr };
}

function mustRun(command: string, given: string[], cwd: string, env?: NodeJS.ProcessEnv): string {
  const { status, output } = run(command, given, cwd, env);
  if (status !== 0) throw new Error(`${command} ${given.join(' ')} failed:\n${output}`);
  return output;
}

const bin = (name: string) => join(ROOT, 'node_modules/.bin', name);

/** A path with node and npm on it, and no compiler. */
function withoutCompiler(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: tools };
}

beforeAll(() => {
  cpSync(ROOT, checkout, { recursive: true, filter: (path) => !UNTRACKED.has(basename(path)) });
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
  mustRun('npm', ['pack', '--pack-destination', home], checkout);
  tarball = join(home, readdirSync(home).find((name) => name.endsWith('.tgz')) as string);
  packed = mustRun('tar', ['-tzf', tarball], home)
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''));

  mkdirSync(tools);
  symlinkSync(process.execPath, join(tools, 'node'));
  symlinkSync(mustRun('sh', ['-c', 'command -v npm'], home).trim(), join(tools, 'npm'));
  mkdirSync(user);
  writeFileSync(join(user, 'package.json'), '{ "private": true, "type": "module" }\n');
  const install = npm('install', '--ignore-scripts', tarball);
  if (install.status === 0) return;
  if (!/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET|ENOTCACHED/.test(install.output)) {
    throw new Error(install.output);
  }
  unreachable = install.output;
}, PACKING_MS);

afterAll(() => rmSync(home, { recursive: true, force: true }));

function npm(...given: string[]): Result {
  return run('npm', [...given, '--prefer-offline', '--no-audit', '--no-fund'], user, withoutCompiler());
}

/** Runs a module of a user's where the package is installed; what it prints, as JSON. */
function asUser(code: string): unknown {
  writeFileSync(join(user, 'script.js'), code);
  return JSON.parse(mustRun(process.execPath, ['script.js'], user, withoutCompiler()));
}

const ROUND_TRIP = `
  import { Reader, Writer } from 'millrace';
  import { mkdtempSync, rmSync } from 'node:fs';
  const directory = mkdtempSync('${join(home, 'run-')}');
  const writer = await Writer.create(directory + '/channel', { capacity: '64KiB' });
  const reader = await Reader.open(directory + '/channel');
  writer.write('through the tarball');
  const said = reader.read().data.toString();
  reader.close();
  writer.close();
  rmSync(directory, { recursive: true });
  console.log(JSON.stringify(said));
`;

test('the tarball holds what users need, and nothing of the workshop', () => {
  for (const needed of [
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'package.json',
    'dist/index.js',
    'dist/index.d.ts',
    'native/addon.cc',
    'native/addon.gypi',
    'native/exports.map',
  ]) {
    expect(packed).toContain(needed);
  }
  const prebuilds = packed.filter((path) => path.startsWith('prebuilds/') && path.endsWith('.node'));
  expect(prebuilds).toHaveLength(1);
  expect(prebuilds[0]).toMatch(/^prebuilds\/linux-\w+\/[^/]+\.(glibc|musl)\.node$/);
  const strange = packed.filter(
    (path) => !/^(dist|prebuilds|native|docs)\/|^(LICENSE|[A-Z]+\.md|package\.json)$/.test(path),
  );
  expect(strange).toEqual([]);
  expect(packed.filter((path) => /(^|\/)(test|bench|node_modules|build)\/|\.test\./.test(path))).toEqual([]);
});

test('every export has types and the file it names', () => {
  const description = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const [name, target] of Object.entries<string | Record<string, string>>(description.exports)) {
    if (typeof target === 'string') {
      expect(packed, name).toContain(relative('.', target));
      continue;
    }
    expect(packed, name).toContain(relative('.', target.types));
    expect(packed, name).toContain(relative('.', target.default));
  }
  for (const command of Object.values<string>(description.bin)) expect(packed).toContain(command);
  expect(Object.keys(description.scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
});

test('publint has nothing to say', () => {
  expect(mustRun(bin('publint'), [tarball, '--strict'], home)).toContain('All good!');
});

test('the types are right for whoever imports it', () => {
  mustRun(bin('attw'), [tarball, '--profile', 'esm-only', '--no-color'], home);
});

test('no type takes what a Buffer lies in for a part of its type, as only newer compilers do', () => {
  const declarations = packed.filter((path) => path.endsWith('.d.ts'));
  expect(declarations.length).toBeGreaterThan(100);
  mustRun('tar', ['-xzf', tarball, '--wildcards', 'package/dist/*.d.ts'], home);
  const textOf = (path: string) => readFileSync(join(home, 'package', path), 'utf8');
  expect(declarations.filter((path) => /\b(Buffer|Uint8Array)</.test(textOf(path)))).toEqual([]);
});

test(`the addon runs on glibc ${OLDEST_GLIBC}, as the README says, and without a C++ library`, () => {
  const prebuild = packed.find((path) => path.endsWith('.node')) as string;
  mustRun('tar', ['-xzf', tarball, `package/${prebuild}`], home);
  // The versions that the loader asks the C library for stand in the file as plain text.
  const text = readFileSync(join(home, 'package', prebuild), 'latin1');
  const versions = [...text.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [+major, +minor]);
  expect(versions.length).toBeGreaterThan(0);
  const [major, minor] = OLDEST_GLIBC.split('.').map(Number);
  expect(versions.filter(([a, b]) => a > major || (a === major && b > minor))).toEqual([]);
  expect(text).not.toMatch(/GLIBCXX_|CXXABI_|GCC_\d|libstdc\+\+\.so|libgcc_s\.so/);
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(`glibc ${OLDEST_GLIBC}`);
});

test('installed with scripts off and no compiler at hand, it carries a record', (context) => {
  if (unreachable) context.skip(unreachable);
  expect(asUser(ROUND_TRIP)).toBe('through the tarball');
});

// From a lock file npm does not know what a package.json says, and would build whatever has a binding.gyp.
test.for(['ci', 'rebuild', 'install'])(
  'npm %s with scripts on builds nothing, and it carries a record',
  (command, context) => {
    if (unreachable) context.skip(unreachable);
    if (command !== 'rebuild') rmSync(join(user, 'node_modules'), { recursive: true });
    expect(npm(command)).toMatchObject({ status: 0 });
    expect(asUser(ROUND_TRIP)).toBe('through the tarball');
  },
);

test('its command is there', (context) => {
  if (unreachable) context.skip(unreachable);
  const { status } = run(join(user, 'node_modules/.bin/millrace'), ['help'], user, withoutCompiler());
  expect(status).toBe(0);
});

test(
  'without a prebuilt addon it imports, opening names the command that builds one, and that does',
  (context) => {
    if (unreachable) context.skip(unreachable);
    rmSync(join(installed, 'prebuilds'), { recursive: true });
    const failure = asUser(`
    import { Reader, Writer } from 'millrace';
    try {
      await Writer.create('${join(home, 'channel')}');
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message, reader: typeof Reader.open }));
    }
  `) as { code: string; message: string };
    expect(failure).toMatchObject({ code: 'ERR_NATIVE_BINDING', reader: 'function' });
    const [, given] =
      /Build it with: npm install --no-save node-addon-api@8 && (.+)$/.exec(failure.message) ?? [];
    expect(given).toContain('npx node-gyp rebuild');
    // What npm would install, and node-gyp for npx, come from the checkout: no network is needed.
    cpSync(join(ROOT, 'node_modules/node-addon-api'), join(installed, '../node-addon-api'), {
      recursive: true,
    });
    mustRun('sh', ['-c', given], ROOT, { ...process.env, npm_config_offline: 'true' });
    expect(asUser(ROUND_TRIP)).toBe('through the tarball');
  },
  PACKING_MS,
);
