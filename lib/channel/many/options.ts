import { invalidArgument, type MillraceError, withFacts } from '../../errors.js';
import { checkWait, knownOptions, oneOf, saidNow, show, wholeNumber } from '../../options.js';
import { checkReaderOptions, type ReaderOptions } from '../ends/index.js';
import { checkWhere, type Where } from '../reading/index.js';
import type { When } from '../runtime/index.js';

type PassedOn<Out> = Pick<
  ReaderOptions<Out>,
  | 'gate'
  | 'idle'
  | 'onLost'
  | 'deadAfterMs'
  | 'name'
  | 'codec'
  | 'verify'
  | 'register'
  | 'logger'
  | 'wait'
  | 'signal'
  | 'timeoutMs'
>;

export interface ManyOptions<Out = Buffer> extends PassedOn<Out> {
  /** Where to begin, in each channel. Channels that join later begin at their oldest record unless it says otherwise. */
  from?: 'oldest' | 'latest' | { time: When } | ((path: string) => Where | undefined) | undefined;
  /** What becomes of a channel whose writer is dead: told once (default) or not, then dropped; or kept for a successor. */
  onDeath?: 'throw' | 'skip' | 'wait' | undefined;
  /** By turns (default), or merged by the records' timestamps. */
  order?: 'fair' | 'timestamp' | undefined;
  /** With `order: 'timestamp'`: how long a record may wait for older ones of channels that have nothing to read (0). */
  holdMs?: number | undefined;
  /** Which files of a directory to look at. */
  match?: RegExp | ((name: string) => boolean) | undefined;
  /** Whether channels that appear in the directory later join (true). */
  watch?: boolean | undefined;
}

const PASSED_ON = [
  'gate',
  'idle',
  'onLost',
  'deadAfterMs',
  'name',
  'codec',
  'verify',
  'register',
  'logger',
  'wait',
  'signal',
  'timeoutMs',
] as const satisfies readonly (keyof PassedOn<Buffer>)[];

const OF_DIRECTORIES = ['match', 'watch'] as const;

/** Returns them as they are now. */
export function checkManyOptions<Out>(options: ManyOptions<Out>, isDirectory: boolean): ManyOptions<Out> {
  const known = [...PASSED_ON, ...OF_DIRECTORIES, 'from', 'onDeath', 'order', 'holdMs'] as const;
  knownOptions('openAll', options, known);
  const own = saidNow(options, known);
  own.gate = checkReaderOptions(passedOn(own)).gate;
  checkWait(own);
  oneOf('onDeath', own.onDeath ?? 'throw', ['throw', 'skip', 'wait']);
  const order = oneOf('order', own.order ?? 'fair', ['fair', 'timestamp']);
  wholeNumber('holdMs', own.holdMs ?? 0, 0, 2 ** 31 - 1);
  if (own.holdMs !== undefined && order !== 'timestamp') {
    throw invalidArgument("Nothing is held back but with order: 'timestamp': leave out holdMs", {
      option: 'holdMs',
    });
  }
  own.from = checkFrom(own.from);
  for (const option of OF_DIRECTORIES) {
    if (own[option] === undefined || isDirectory) continue;
    throw invalidArgument(`${option} is for directories, and this is a list of channels`, { option });
  }
  if (own.wait === true && isDirectory) {
    throw invalidArgument('wait is for lists: what appears in a directory joins by watch', {
      option: 'wait',
    });
  }
  oneOf('watch', own.watch ?? true, [true, false]);
  const { match } = own;
  if (match !== undefined && typeof match !== 'function' && !(match instanceof RegExp)) {
    throw invalidArgument(`match must be a RegExp or a function, not ${show(match)}`);
  }
  return own;
}

function checkFrom(from: ManyOptions['from']): ManyOptions['from'] {
  const places: unknown[] = [undefined, 'oldest', 'latest'];
  if (places.includes(from) || typeof from === 'function') return from;
  if (typeof from === 'object' && from !== null && 'time' in from) {
    return checkWhere(from) as ManyOptions['from'];
  }
  throw invalidArgument(
    `from must be 'oldest', 'latest', { time } or a function that says where for each path, not ${show(from)}`,
  );
}

/** What each channel's reader is opened with. */
export function passedOn<Out>(options: ManyOptions<Out>): ReaderOptions<Out> {
  const given: Record<string, unknown> = { onDeath: options.onDeath === 'wait' ? 'wait' : 'throw' };
  for (const option of PASSED_ON) given[option] = options[option];
  return given;
}

/** Where to begin in a channel that was there from the start, or came later. */
export function startIn(path: string, from: ManyOptions['from'], late: boolean): Where | undefined {
  const said = typeof from === 'function' ? answer(from, path) : from;
  return said ?? (late ? 'oldest' : undefined);
}

function answer(from: (path: string) => Where | undefined, path: string): Where | undefined {
  const where = from(path);
  try {
    return where === undefined ? undefined : checkWhere(where);
  } catch (error) {
    // Of another channel it may say something else.
    throw withFacts(error as MillraceError, { path });
  }
}
