import { readFileSync, realpathSync, type StatsFs, statfsSync } from 'node:fs';
import { isInRam } from '../../channel/index.js';
import { DEFAULT_SEGMENT } from '../../log/index.js';
import { count, size, visible } from '../words.js';
import { type Finding, faultOf, ok, warning } from './finding.js';
import { memoryLimit } from './machine.js';

const MIB = 2 ** 20;
/** What `Writer.create` makes where nothing else is said. */
const USUAL_CHANNEL = 8 * MIB;
/** What Docker gives a container. */
const DOCKERS_SHM = 64 * MIB;
/** Beside its records a log takes up about two segments. */
const USUAL_LOG = 2 * DEFAULT_SEGMENT;
const FEW_CHANNELS = 8;
const FEW_LOGS = 2;
const FEW_INODES = 1000;

/** What the directory is on, and what room there is. */
export function* placeFindings(directory: string): Generator<Finding> {
  let inRam: boolean;
  try {
    inRam = isInRam(directory);
  } catch (error) {
    yield faultOf('file system', error);
    return;
  }
  const room = statfsSync(directory);
  yield fileSystem(directory, inRam);
  yield inRam ? roomInRam(room) : roomOnDisk(room);
  yield* inodes(room);
  if (inRam) yield* memory(room);
}

function fileSystem(directory: string, inRam: boolean): Finding {
  const kind = kindOf(realpathSync(directory));
  const where = `${visible(directory)} is on ${kind ?? 'a file system that the system does not name'}`;
  if (kind === 'overlay') {
    const help = 'what is written there goes with its container, and no other one sees it: use a volume';
    return warning('file system', `${where}: ${help}`);
  }
  return ok('file system', inRam ? `${where}, in memory: nothing there outlives the machine` : where);
}

/** What the mount is called that a directory lies in. */
function kindOf(directory: string): string | undefined {
  let kind: string | undefined;
  let longest = 0;
  for (const line of mounts().split('\n')) {
    const [, , , , escaped = '', ...rest] = line.split(' ');
    const point = escaped.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const isAbove = point === '/' || `${directory}/`.startsWith(`${point}/`);
    // Of two on the same place the later one is seen.
    if (!isAbove || point.length < longest) continue;
    longest = point.length;
    kind = rest[rest.indexOf('-') + 1];
  }
  return kind;
}

function mounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}

function roomInRam({ blocks, bavail, bsize }: StatsFs): Finding {
  const [all, free] = [blocks * bsize, bavail * bsize];
  const channels = Math.floor(free / USUAL_CHANNEL);
  const room = `${size(free)} of ${size(all)} are free, for ${count(channels)} channels of the usual ${size(USUAL_CHANNEL)}`;
  if (blocks === 0) return ok('room', 'without a limit but the memory');
  if (all <= DOCKERS_SHM) {
    return warning(
      'room',
      `${room}; it is as small as Docker's: start the container with a larger --shm-size, or use a volume`,
    );
  }
  if (channels < FEW_CHANNELS)
    return warning('room', `${room}; remove what nobody reads any more, or make it larger`);
  return ok('room', room);
}

function roomOnDisk({ blocks, bavail, bsize }: StatsFs): Finding {
  const free = bavail * bsize;
  const room = `${size(free)} of ${size(blocks * bsize)} are free`;
  if (free >= USUAL_LOG * FEW_LOGS) return ok('room', room);
  return warning(
    'room',
    `${room}; a log takes ${size(USUAL_LOG)} beside its records: make room, or say a smaller segment`,
  );
}

function* inodes({ files, ffree }: StatsFs): Generator<Finding> {
  // Some file systems have as many as there is room for, and say 0.
  if (files === 0) return;
  const left = `${count(ffree)} of ${count(files)} are free`;
  yield ffree >= FEW_INODES
    ? ok('inodes', left)
    : warning(
        'inodes',
        `${left}; each channel, segment and log takes one or more: remove files that nobody needs`,
      );
}

function* memory({ bavail, bsize }: StatsFs): Generator<Finding> {
  const limit = memoryLimit();
  if (limit === undefined) return;
  const what = `channels count towards the ${size(limit)} of memory that this container may take`;
  yield limit > bavail * bsize
    ? ok('memory', what)
    : warning('memory', `${what}, which is less than the room here: keep them below it, or raise it`);
}
