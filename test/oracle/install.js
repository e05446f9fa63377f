// Brings the oracle's own addon here and sees that it really loads. Nothing is done where it does already.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const VERSION = '1.1.7';

if (process.versions.node.split('.')[0] !== '20') {
  console.log(
    `mmap-io ${VERSION} is for Node 20; this is ${process.version}. The oracle's tests will be skipped`,
  );
} else if (!loads()) {
  npm('ci', '--no-audit', '--no-fund');
  // An npm that asks before it runs install scripts has left the addon unbuilt.
  if (!loads()) npm('rebuild', '--foreground-scripts');
  if (!loads()) {
    console.error(`mmap-io ${VERSION} was installed in ${here}, but its addon does not load`);
    process.exit(1);
  }
}

function loads() {
  const check = `require('mmap-io'); process.exit(require('mmap-io/package.json').version === '${VERSION}' ? 0 : 1)`;
  return spawnSync(process.execPath, ['-e', check], { cwd: here, stdio: 'ignore' }).status === 0;
}

function npm(...words) {
  // Node 20's headers need C++17, and mmap-io asks for less.
  const CXXFLAGS = `${process.env.CXXFLAGS ?? ''} -std=gnu++17`.trim();
  const { status, error } = spawnSync(
    'npm',
    [...words, '--prefix', here, '--ignore-scripts=false', '--loglevel=warn'],
    { stdio: 'inherit', env: { ...process.env, CXXFLAGS } },
  );
  if (status === 0) return;
  console.error(`npm ${words[0]} for the oracle failed${error === undefined ? '' : `: ${error.message}`}`);
  process.exit(1);
}
