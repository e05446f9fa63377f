import { type Dirent, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { explain, isTurnOver, turn } from '../../channel/index.js';
import { type ChannelInfo, inspect, MillraceError } from '../../index.js';
import { type Rates, ratesSince } from '../channel/index.js';
import { isChannel, isLog } from '../directory.js';
import { faultOf, isLogSound, type LogLook, logRatesSince, lookAtLog, type Untold } from '../log/index.js';

/** What one look at a channel or a log came to: what it says of itself, or why that can't be told. */
interface Seen {
  path: string;
  at: number;
  fault?: Untold;
}

export interface SeenChannel extends Seen {
  kind: 'channel';
  info?: ChannelInfo;
  /** Since the look before. */
  rates?: Rates;
}

export interface SeenLog extends Seen {
  kind: 'log';
  look?: LogLook;
}

export type Found = SeenChannel | SeenLog;

export function isSound({ fault, ...found }: Found): boolean {
  if (fault !== undefined) return false;
  return found.kind === 'channel' || found.look === undefined || isLogSound(found.look);
}

/** Looks through a directory again and again, for the channels and logs in it. Holds nothing open in between. */
export class Looker {
  readonly #directory: string;
  readonly #depth: number;
  readonly #stop: AbortSignal;
  #before = new Map<string, Found>();
  /** Files that are no channels, with the state they were found in: what stays as it was is not opened again. */
  #passedOver = new Map<string, string>();

  /** `depth`: how many levels of directories below it are looked through as well. */
  constructor(directory: string, depth: number, stop: AbortSignal) {
    this.#directory = directory;
    this.#depth = depth;
    this.#stop = stop;
  }

  /** All that are there now. Throws where the directory itself can't be looked through. */
  async look(): Promise<Found[]> {
    const found = new Map<string, Found>();
    const passedOver = new Map<string, string>();
    await this.#lookInto(this.#directory, await entriesOf(this.#directory), this.#depth, {
      found,
      passedOver,
    });
    this.#before = found;
    this.#passedOver = passedOver;
    return [...found.values()];
  }

  async #lookInto(directory: string, entries: Dirent[], depth: number, seen: Look): Promise<void> {
    // What lies in a log's directory is the log's, and told with it.
    if (isLog(directory)) {
      await this.#lookAtLog(directory, seen);
      return;
    }
    for (const entry of entries) {
      if (isTurnOver()) await turn();
      if (this.#stop.aborted) return;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) await this.#lookBelow(path, depth, seen);
      // Whoever makes a file with such a name has not finished it.
      else if (!entry.name.startsWith('.')) this.#lookAtFile(path, entry, seen);
    }
  }

  async #lookBelow(directory: string, depth: number, seen: Look): Promise<void> {
    if (depth === 0 && !isLog(directory)) return;
    let entries: Dirent[];
    try {
      entries = depth === 0 ? [] : await readdir(directory, { withFileTypes: true });
    } catch {
      // Gone since it was listed, or somebody else's, as there are in any temporary directory.
      return;
    }
    await this.#lookInto(directory, entries, depth - 1, seen);
  }

  #lookAtFile(path: string, entry: Dirent, { found, passedOver }: Look): void {
    if (!(entry.isFile() || entry.isSymbolicLink())) return;
    const state = stateOf(path);
    if (state === undefined) return;
    if (this.#passedOver.get(path) === state || !canBeChannel(path)) {
      passedOver.set(path, state);
      return;
    }
    const channel = this.#lookAtChannel(path);
    if (channel !== undefined) found.set(path, channel);
  }

  /** Undefined where it was removed meanwhile. */
  #lookAtChannel(path: string): SeenChannel | undefined {
    const before = this.#before.get(path);
    try {
      const info = inspect(path);
      const at = performance.now();
      const rates =
        before?.kind === 'channel' && before.info !== undefined
          ? ratesSince(before.info, info, at - before.at)
          : undefined;
      return { kind: 'channel', path, at, info, rates };
    } catch (error) {
      const fault = faultUnlessGone(error);
      return fault && { kind: 'channel', path, at: performance.now(), fault };
    }
  }

  async #lookAtLog(path: string, { found }: Look): Promise<void> {
    const before = this.#before.get(path);
    try {
      const look = await lookAtLog(path);
      const at = performance.now();
      if (before?.kind === 'log' && before.look !== undefined) {
        look.rates = logRatesSince(before.look, look, at - before.at);
      }
      found.set(path, { kind: 'log', path, at, look });
    } catch (error) {
      const fault = faultUnlessGone(error);
      if (fault !== undefined) found.set(path, { kind: 'log', path, at: performance.now(), fault });
    }
  }
}

/** What is being found. */
interface Look {
  found: Map<string, Found>;
  passedOver: Map<string, string>;
}

async function entriesOf(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    throw explain(error, directory, 'look through');
  }
}

/** What changes where a file is written, or another takes its name; undefined where there is no file. */
function stateOf(path: string): string | undefined {
  try {
    const stat = statSync(path);
    return stat.isFile() ? `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}` : undefined;
  } catch {
    return undefined;
  }
}

function canBeChannel(path: string): boolean {
  try {
    return isChannel(path);
  } catch {
    // What can't be opened may be anything, and is mostly somebody else's.
    return false;
  }
}

function faultUnlessGone(error: unknown): Untold | undefined {
  return error instanceof MillraceError && error.code === 'ERR_NOT_FOUND' ? undefined : faultOf(error);
}
