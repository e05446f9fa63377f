import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const TMPFS = 0x01021994;
const FILE_SYSTEMS = new Map([
  [TMPFS, 'tmpfs'],
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x794c7630, 'overlayfs'],
]);

/** What a figure means nothing without. */
export function describeMachine(folder, disk) {
  return {
    millrace: JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')).version,
    commit: commitOf(ROOT),
    cpu: os.cpus()[0]?.model,
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    node: process.version,
    compiler: execFileSync('cc', ['--version'], { encoding: 'utf8' }).split('\n')[0],
    fileSystem: fileSystemOf(folder),
    disk: fileSystemOf(disk),
  };
}

/** Of what is measured; undefined where that is no working copy. */
export function commitOf(root) {
  const git = (...words) =>
    spawnSync('git', [`--git-dir=${root}.git`, `--work-tree=${root}`, ...words], { encoding: 'utf8' });
  const { status, stdout } = git('rev-parse', '--short', 'HEAD');
  if (status !== 0) return undefined;
  const isChanged = git('diff', '--quiet', 'HEAD', '--', 'lib', 'native').status !== 0;
  return `${stdout.trim()}${isChanged ? ', changed' : ''}`;
}

export function showMachine({ millrace, commit, node, cores, cpu, compiler, ...machine }) {
  const measured = commit === undefined ? millrace : `${millrace} (${commit})`;
  return (
    `Millrace ${measured}, Node ${node}, ${cores} cores of ${cpu}, ${machine.memoryGiB} GiB, Linux ${machine.kernel},` +
    ` ${compiler}; channels on ${machine.fileSystem}, on disk: ${machine.disk}`
  );
}

export function fileSystemOf(folder) {
  const { type } = statfsSync(folder);
  return FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
}

/** What the harness can't do without, and isn't here. */
export function lackingTools() {
  return ['cc', 'taskset', 'setpriv', 'ipcrm'].filter(
    (tool) => spawnSync(tool, ['--version']).error !== undefined,
  );
}
