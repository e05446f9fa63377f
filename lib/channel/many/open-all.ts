import { setMaxListeners } from 'node:events';
import { invalidArgument } from '../../errors.js';
import { binding } from '../../native.js';
import { show } from '../../options.js';
import { Reader, readsFile } from '../ends/index.js';
import { absolutePath, forget, onAbort } from '../runtime/index.js';
import { type Task, throwIfAborted } from '../waiting/index.js';
import { checkDirectory, Directory } from './directory.js';
import { createMany, type ManyReader } from './many-reader.js';
import { checkManyOptions, type ManyOptions, passedOn, startIn } from './options.js';

/**
 * Opens many channels to read them as one stream: those of a list, or all that lie in a directory, and those that
 * will.
 */
export async function openAll<Out = Buffer>(
  channels: string | readonly string[],
  options: ManyOptions<Out> = {},
): Promise<ManyReader<Out>> {
  const isDirectory = typeof channels === 'string';
  const own = checkManyOptions(options, isDirectory);
  const paths = isDirectory ? absolutePath(channels) : checkedPaths(channels);
  // Where it can't be loaded that is said, whether there is a channel to open or none yet.
  binding();
  return typeof paths === 'string' ? openDirectory(paths, own) : openList(paths, own);
}

function checkedPaths(channels: readonly string[]): string[] {
  if (!Array.isArray(channels)) {
    throw invalidArgument(`Name a directory, or a list of channels, not ${show(channels)}`);
  }
  const paths = channels.map((path) => absolutePath(path));
  const twice = paths.find((path, at) => paths.indexOf(path) !== at);
  if (twice !== undefined) throw invalidArgument(`${twice} is named twice`, { path: twice });
  return paths;
}

async function openList<Out>(paths: string[], options: ManyOptions<Out>): Promise<ManyReader<Out>> {
  const what = `${paths.length} channels`;
  const { many, sources } = createMany({ what }, options);
  using failing = new Failing(options.signal, { what: `Opening ${what}` });
  const openings = paths.map(async (path) => {
    try {
      return await openOne(path, { ...options, signal: failing.signal }, false);
    } catch (error) {
      failing.fail(error);
    }
  });
  for (const reader of await Promise.all(openings)) if (reader !== undefined) sources.add(reader);
  return failing.orElse(many);
}

async function openDirectory<Out>(path: string, options: ManyOptions<Out>): Promise<ManyReader<Out>> {
  checkDirectory(path);
  const { many, sources } = createMany({ what: path, path }, options);
  using failing = new Failing(options.signal, { what: `Opening the channels of ${path}`, path });
  let opened = false;
  const directory = new Directory(path, options.match, {
    async join(path, file) {
      const signal = opened ? undefined : failing.signal;
      const reader = await openOne(path, { ...options, signal }, opened);
      const isIt = readsFile(reader, file);
      if (isIt && !many.closed) sources.add(reader, file);
      else reader.close();
      return isIt;
    },
    forget: (path, file) => sources.forget(path, file),
    doubt: (fault) => sources.tell(fault),
    fail(error) {
      if (opened) sources.tell(error);
      else failing.fail(error);
    },
  });
  sources.follow(directory);
  // Before the first look, or what appears just then is found by the next slow look only.
  if (options.watch !== false) directory.watch();
  await directory.scan();
  opened = true;
  return failing.orElse(many);
}

async function openOne<Out>(path: string, options: ManyOptions<Out>, late: boolean): Promise<Reader<Out>> {
  const from = startIn(path, options.from, late);
  const reader = await Reader.open<Out>(path, { ...passedOn(options), from });
  if (options.order !== 'timestamp' || reader.timestamps) return reader;
  reader.close();
  throw invalidArgument(
    `${path} was made without timestamps: its records can't be merged by order: 'timestamp'`,
    { path },
  );
}

/** The first failure of many that are under way at once, which ends the others. */
class Failing {
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #task: Task;
  readonly #abort = () => this.#stop.abort(this.#signal?.reason);
  #failure: { error: unknown } | undefined;

  constructor(signal: AbortSignal | undefined, task: Task) {
    this.#signal = signal;
    this.#task = task;
    // A listener for each channel, of which the user's signal need not know.
    setMaxListeners(0, this.#stop.signal);
    if (signal?.aborted === true) this.#abort();
    else if (signal !== undefined) onAbort(signal, this.#abort);
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort();
  }

  orElse<Out>(many: ManyReader<Out>): ManyReader<Out> {
    try {
      if (this.#failure !== undefined) throw this.#failure.error;
      // Where there was no channel to open, nobody has heard of it.
      throwIfAborted(this.#signal, this.#task);
      return many;
    } catch (error) {
      many.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#signal !== undefined) forget(this.#signal, this.#abort);
  }
}
