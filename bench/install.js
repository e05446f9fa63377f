// Brings the peers here, where they aren't yet. Those that must be compiled may be missing afterwards; the trials
// list them as absent then, and say why.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const { dependencies, optionalDependencies } = JSON.parse(readFileSync(`${here}package.json`, 'utf8'));

if (!Object.keys(dependencies).every((name) => existsSync(`${here}node_modules/${name}/package.json`))) {
  const names = Object.keys({ ...dependencies, ...optionalDependencies }).join(', ');
  console.error(`Installing what Millrace is compared with, into bench/node_modules: ${names}`);
  // Node's headers need C++17, and mmap-io asks for less.
  const CXXFLAGS = `${process.env.CXXFLAGS ?? ''} -std=gnu++17`.trim();
  const words = ['ci', '--no-audit', '--no-fund', '--ignore-scripts=false', '--loglevel=warn'];
  const { status } = spawnSync('npm', words, {
    cwd: here,
    stdio: 'inherit',
    env: { ...process.env, CXXFLAGS },
  });
  if (status !== 0) console.error('npm ci in bench failed; the trials go on without those peers');
}
