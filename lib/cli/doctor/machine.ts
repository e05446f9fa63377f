import { readFileSync, readlinkSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { environment } from '../../channel/index.js';
import { binding } from '../../native.js';
import { description } from '../package.js';
import { count, size } from '../words.js';
import { type Finding, fault, faultOf, ok, warning } from './finding.js';

/** What does not depend on the directory. Nothing else works where one of these is a fault. */
export function* machineFindings(): Generator<Finding> {
  yield system();
  yield node();
  if (process.platform !== 'linux') return;
  yield libc();
  yield addon();
  yield bootId();
  yield processors();
  yield* limits();
  yield* container();
}

function system(): Finding {
  const what = `${process.platform} ${process.arch}, kernel ${release()}`;
  return process.platform === 'linux'
    ? ok('system', what)
    : fault('system', `${what}: Millrace works on Linux; run it there, or in a container`);
}

function node(): Finding {
  const least = description().engines.node.replace('>=', '');
  return isAtLeast(process.versions.node, least)
    ? ok('node', process.version)
    : fault('node', `${process.version}: Millrace needs Node.js ${least} or newer`);
}

const LEAST_GLIBC = '2.28';

function libc(): Finding {
  const { glibcVersionRuntime: version } = report().header;
  const help = `the addon in the package is for glibc ${LEAST_GLIBC} or newer: use such a system, or build the addon here`;
  if (version === undefined) return warning('libc', `not glibc, perhaps musl; ${help}`);
  return isAtLeast(version, LEAST_GLIBC)
    ? ok('libc', `glibc ${version}`)
    : warning('libc', `glibc ${version}; ${help}`);
}

function addon(): Finding {
  try {
    binding();
  } catch (error) {
    return faultOf('addon', error);
  }
  // The command loads no other one.
  return ok('addon', `loaded from ${report().sharedObjects.find((path) => path.endsWith('.node'))}`);
}

interface Report {
  header: { glibcVersionRuntime?: string };
  sharedObjects: string[];
}

function report(): Report {
  return process.report.getReport() as unknown as Report;
}

/** ('2.36', '2.4') -> true */
function isAtLeast(version: string, least: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = least.split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

const BOOT_ID_BYTES = 16;

function bootId(): Finding {
  const file = '/proc/sys/kernel/random/boot_id';
  try {
    if (environment.bootId().length === BOOT_ID_BYTES)
      return ok('boot id', 'a restart of this machine is noticed');
  } catch {
    // Then there is none.
  }
  return fault(
    'boot id',
    `${file} can't be read, which tells one start of the machine from another: mount /proc`,
  );
}

function processors(): Finding {
  const cpus = availableParallelism();
  if (cpus > 1) return ok('processors', count(cpus));
  return warning(
    'processors',
    "1: who spins keeps all others from working, so never wait with idle: 'spin' or 'yield'",
  );
}

const LEAST_FILES = 1024;
const LEAST_INSTANCES = 128;
const LEAST_WATCHES = 8192;
const LEAST_MAPPINGS = 65530;
/** The largest channel there is. */
const LARGEST_FILE = 2 ** 30;

function* limits(): Generator<Finding> {
  yield* limit('open files', softLimit('Max open files'), LEAST_FILES, {
    what: (limit) => `${count(limit)} a process`,
    help: 'each channel and log takes one or more: raise it (ulimit -n, LimitNOFILE=)',
  });
  yield* limit('file size', softLimit('Max file size'), LARGEST_FILE, {
    what: (limit) => (limit === Number.POSITIVE_INFINITY ? 'without a limit' : `${size(limit)} at most`),
    help: 'larger channels and segments are refused: raise it (ulimit -f, LimitFSIZE=)',
  });
  yield* limit('inotify instances', numberIn('/proc/sys/fs/inotify/max_user_instances'), LEAST_INSTANCES, {
    what: (limit) => `${count(limit)} a user`,
    help: 'each thread that waits takes one, and those that get none look again and again: sysctl fs.inotify.max_user_instances=1024',
  });
  yield* limit('inotify watches', numberIn('/proc/sys/fs/inotify/max_user_watches'), LEAST_WATCHES, {
    what: (limit) => `${count(limit)} a user`,
    help: 'each channel that is waited for takes one: sysctl fs.inotify.max_user_watches=65536',
  });
  yield* limit('mappings', numberIn('/proc/sys/vm/max_map_count'), LEAST_MAPPINGS, {
    what: (limit) => `${count(limit)} a process`,
    help: 'each channel and segment takes some: sysctl vm.max_map_count=262144',
  });
}

interface Wording {
  what(limit: number): string;
  help: string;
}

/** Nothing where the system does not tell. */
function* limit(
  check: string,
  value: number | undefined,
  least: number,
  { what, help }: Wording,
): Generator<Finding> {
  if (value === undefined) return;
  yield value >= least ? ok(check, what(value)) : warning(check, `${what(value)}; ${help}`);
}

function softLimit(name: string): number | undefined {
  const [, soft] = new RegExp(`^${name} +(\\S+)`, 'm').exec(textOf('/proc/self/limits') ?? '') ?? [];
  if (soft === 'unlimited') return Number.POSITIVE_INFINITY;
  return soft === undefined ? undefined : Number(soft);
}

function numberIn(path: string): number | undefined {
  const text = textOf(path);
  return text === undefined ? undefined : Number(text);
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The namespace of pids that the machine starts with has this number, in every Linux. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

function* container(): Generator<Finding> {
  let namespace: string;
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    return;
  }
  if (namespace === FIRST_PID_NAMESPACE) {
    yield ok('container', 'none: this process sees the pids of all the machine');
    return;
  }
  yield ok(
    'container',
    'this process has pids of its own: those that are told of other containers are theirs. Channels are shared with one by ' +
      'mounting their directory in both; who lives is known by locks, and not by pids',
  );
}

/** What this process and those beside it in its container may take of the memory; undefined: all of it. */
export function memoryLimit(): number | undefined {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < Number.MAX_SAFE_INTEGER ? limit : undefined;
}
