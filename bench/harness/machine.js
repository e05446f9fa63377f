import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';

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
    millrace: JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version,
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

export function showMachine({ millrace, cpu, cores, memoryGiB, kernel, node, compiler, fileSystem, disk }) {
  return (
    `Millrace ${millrace}, Node ${node}, ${cores} cores of ${cpu}, ${memoryGiB} GiB, Linux ${kernel},` +
    ` ${compiler}; channels on ${fileSystem}, on disk: ${disk}`
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
