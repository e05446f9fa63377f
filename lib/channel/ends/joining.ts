import { invalidArgument, MillraceError } from '../../errors.js';
import { knownOptions, oneOf, saidNow, show, wholeNumber } from '../../options.js';
import { type Mapped, openMapped } from '../file/index.js';
import * as L from '../layout.js';
import { claimSlot, noReaderSlot } from '../presence/index.js';
import { checkWhere, type Where } from '../reading/index.js';
import { type Codec, checkCodec, type Decoder } from '../records/index.js';
import { checkLogger, type Logger } from '../runtime/index.js';
import { checkIdle, type Idle, waitUntil } from '../waiting/index.js';

export interface ReaderOptions<Out = Buffer> {
  /** Where to begin. Default: 'latest' on a ring, 'oldest' on a linear channel. */
  from?: Where | undefined;
  /**
   * Whether to hold the writer of a ring back. Default: yes, but evicted after standing still for 10 s while the
   * writer needs the room. `true`: for as long as this reader lives. `false`: never; it may be overtaken.
   */
  gate?: boolean | { evictAfterMs: number } | undefined;
  /** What to do when overtaken: throw ERR_OVERTAKEN (default), or go on and count it in `lost`. */
  onLost?: 'throw' | 'skip' | undefined;
  /** What iteration does when the writer died: throw ERR_WRITER_DEAD (default), or wait for its successor. */
  onDeath?: 'throw' | 'wait' | undefined;
  /** How long a writer must have been dead before iteration throws (1000). */
  deadAfterMs?: number | undefined;
  /** Shown by `writer.readers()` and the tools; at most 64 bytes of UTF-8. */
  name?: string | undefined;
  /**
   * How to wait. `adaptive` (default): spins for a moment where there are cores enough, then yields, then sleeps. `park`
   * sleeps at once, `yield` and `spin` never do. Or a strategy of your own.
   */
  idle?: Idle | undefined;
  /** Makes values of records: the one they were written with. */
  codec?: Codec<never, Out> | Decoder<Out> | undefined;
  /**
   * Whether to check each record's checksum before it is handed out, where the channel has them. Default: on a disk, and
   * where a machine went down.
   */
  verify?: boolean | undefined;
  /** Whether to appear in the reader table (true). `false` changes nothing in the file; it needs `gate: false` on a ring. */
  register?: boolean | undefined;
  /** Wait for the channel to appear. On a ring say `from: 'oldest'` too, to miss nothing that is written meanwhile. */
  wait?: boolean | undefined;
  /**
   * Whether to go over to the channel that takes this one's place under the same path, once all of this one is read.
   * Waiting does that: iteration, `batches`, `ready`.
   */
  follow?: boolean | undefined;
  /** Hears of what happens to this reader. */
  logger?: Logger | undefined;
  /** Ends the opening, and the waiting for a channel, by ERR_ABORTED. */
  signal?: AbortSignal | undefined;
  /** For how long to wait for the channel; then ERR_TIMEOUT. */
  timeoutMs?: number | undefined;
}

const READER_OPTIONS = [
  'from',
  'gate',
  'onLost',
  'onDeath',
  'deadAfterMs',
  'name',
  'idle',
  'codec',
  'verify',
  'register',
  'wait',
  'follow',
  'logger',
  'signal',
  'timeoutMs',
] as const satisfies readonly (keyof ReaderOptions)[];

const DEFAULT_EVICT_AFTER_MS = 10_000;
/** In a reader's slot: it is not evicted, however long it stands still. */
export const NEVER = 0;

/** Opens a channel to read it: for writing its reader table too, where that is allowed. */
export async function openForReading(path: string, options: ReaderOptions<unknown>): Promise<Mapped> {
  const { signal, timeoutMs } = options;
  const open = () => {
    try {
      return openMapped(path, options.register === false ? 'read' : 'write if allowed');
    } catch (error) {
      if (options.wait === true && (error as MillraceError).code === 'ERR_NOT_FOUND') return undefined;
      throw error;
    }
  };
  return waitUntil(open, { what: `Waiting for ${path}`, path }, { signal, timeoutMs });
}

/** Takes a place in the reader table, where there is one to take. */
export function joinReaders(channel: Mapped, options: ReaderOptions<unknown>) {
  const gate = options.gate ?? { evictAfterMs: DEFAULT_EVICT_AFTER_MS };
  const ring = channel.header.mode === 'ring';
  const gating = ring && gate !== false;
  const evictAfterMs = typeof gate === 'object' ? gate.evictAfterMs : NEVER;
  if (!channel.writable) {
    if (!gating) return { slot: undefined, gating, evictAfterMs };
    if (options.register === false) {
      throw invalidArgument(
        'Who is not registered can hold nobody back: say gate: false beside register: false',
        { path: channel.path },
      );
    }
    throw new MillraceError(
      'ERR_PERMISSION',
      `${channel.path} may not be written by this process, so it can't hold the writer back: open it with gate: false`,
      { path: channel.path },
    );
  }
  const slot = claimSlot(channel, options.name ?? '', evictAfterMs);
  // Who holds nobody back can do without being seen.
  if (slot === undefined && gating) throw noReaderSlot(channel);
  return { slot, gating, evictAfterMs };
}

/** Returns them as they are now. */
export function checkReaderOptions<Out>(options: ReaderOptions<Out>): ReaderOptions<Out> {
  knownOptions('Reader.open', options, READER_OPTIONS);
  const own = saidNow(options, READER_OPTIONS);
  const { from, gate, name } = own;
  if (from !== undefined) own.from = checkWhere(from);
  checkCodec(own.codec, 'decode');
  oneOf('onLost', own.onLost ?? 'throw', ['throw', 'skip']);
  oneOf('onDeath', own.onDeath ?? 'throw', ['throw', 'wait']);
  checkIdle(own.idle);
  oneOf('wait', own.wait ?? false, [true, false]);
  oneOf('follow', own.follow ?? false, [true, false]);
  checkLogger(own.logger);
  oneOf('verify', own.verify ?? true, [true, false]);
  oneOf('register', own.register ?? true, [true, false]);
  wholeNumber('deadAfterMs', own.deadAfterMs ?? 0, 0, 2 ** 31 - 1);
  if (typeof gate === 'object' && gate !== null) {
    knownOptions('gate', gate, ['evictAfterMs']);
    own.gate = { evictAfterMs: wholeNumber('gate.evictAfterMs', gate.evictAfterMs, 1, 2 ** 31 - 1) };
  } else if (gate !== undefined && typeof gate !== 'boolean') {
    throw invalidArgument(`gate must be true, false or { evictAfterMs }, not ${show(gate)}`);
  }
  if (name !== undefined && !isName(name)) {
    throw invalidArgument(
      `name must be a string of at most ${L.SLOT_NAME_BYTES} bytes, without control characters, not ${show(name)}`,
    );
  }
  return own;
}

/** What others list and print. */
function isName(name: unknown): boolean {
  return typeof name === 'string' && Buffer.byteLength(name) <= L.SLOT_NAME_BYTES && !/\p{Cc}/u.test(name);
}
