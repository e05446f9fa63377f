import { MillraceError, withFacts } from '../../errors.js';
import type { Reader } from '../ends/index.js';
import type { FileIdentity } from '../file/index.js';
import { writerDead } from '../reading/index.js';
import type { Directory } from './directory.js';
import type { ManyOptions } from './options.js';
import { type ManySource, Source } from './source.js';

/** What is to be done when something happened to one of them. */
export interface SourcesEvents {
  /** Somebody may have something to read, or to be told. */
  wake(): void;
  /** Of those whose file is gone one may be over: `dropThoseLeft` sees to it, unless records are being handed out. */
  left(): void;
}

/** The channels that are read as one, those of them that are no longer, and what is to be told of them. */
export class Sources<Out> {
  /** What is still to be told. */
  readonly faults: unknown[] = [];
  readonly #tellsOfDeath: boolean;
  /** Whether a record may be held back. */
  readonly #holds: boolean;
  readonly #events: SourcesEvents;
  #directory: Directory | undefined;
  #all: Source<Out>[] = [];
  /** Whether any of them is over, or removed: nobody looks through all of them after each record for nothing. */
  #someOver = false;
  #someRemoved = false;
  /** How those stood that are no longer read, by path; but for those whose file is gone, which may be any number. */
  readonly #gone = new Map<string, ManySource>();
  #lostOfGone = 0;

  constructor({ onDeath = 'throw', holdMs = 0 }: ManyOptions<Out>, events: SourcesEvents) {
    this.#tellsOfDeath = onDeath === 'throw';
    this.#holds = holdMs > 0;
    this.#events = events;
  }

  get all(): readonly Source<Out>[] {
    return this.#all;
  }

  /** `file`: what tells it from another of that path, where it is one of a directory. */
  add(reader: Reader<Out>, file?: FileIdentity): void {
    this.#all.push(new Source(reader, this.#holds, file));
    this.#gone.delete(reader.path);
    this.#events.wake();
  }

  /** They are those of this directory. */
  follow(directory: Directory): void {
    this.#directory = directory;
  }

  /** From now on somebody waits for them, or nobody does. */
  keepAlive(on: boolean): void {
    this.#directory?.keepAlive(on);
  }

  /** The file of a channel was removed: once its writer is dead, nobody will write it. */
  forget(path: string, file: FileIdentity): void {
    this.#gone.delete(path);
    for (const source of this.#all) {
      // Not by its path: it may have another name by now, and another file that one.
      if (source.file !== file || source.isRemoved) continue;
      source.isRemoved = this.#someRemoved = true;
      source.reader.on('status', () => this.#events.left());
    }
    this.#events.left();
  }

  /** Something that whoever reads next is to hear of. */
  tell(fault: unknown): void {
    this.faults.push(fault);
    this.#events.wake();
  }

  /** Whether a source has a record; what is wrong with it is told later. */
  look(source: Source<Out>): boolean {
    if (source.over) return false;
    try {
      return source.peek();
    } catch (error) {
      this.fail(source, error);
      return false;
    }
  }

  /** Whether nothing will come of a source any more. Costs more than a look. */
  isOver(source: Source<Out>): boolean {
    if (source.over) return true;
    try {
      if (source.reader.ended) this.#end(source);
      else if (source.isLeft) this.#leave(source);
    } catch (error) {
      this.fail(source, error);
    }
    return source.over;
  }

  #leave(source: Source<Out>): void {
    const { path, position } = source.reader;
    if (source.resting) {
      this.#end(source);
      this.#events.wake();
    } else {
      this.fail(source, writerDead(path, position));
    }
  }

  #end(source: Source<Out>): void {
    source.over = this.#someOver = true;
  }

  /** Notes what is to be told of a source, and goes on behind it where that is possible. */
  fail(source: Source<Out>, error: unknown): void {
    source.error = error;
    if (!(error instanceof MillraceError)) {
      this.tell(error);
    } else if (error.path === undefined) {
      // From a codec, which does not know of which channel its bytes are.
      this.tell(withFacts(error, { path: source.reader.path }));
    } else if (error.path !== source.reader.path) {
      // From a codec, too, of what that works at: it says nothing of this channel.
      this.tell(error);
    } else {
      const isDead = error.code === 'ERR_WRITER_DEAD';
      if (isDead && this.#isWatched && !source.isRemoved) this.#rest(source);
      else if (!source.goOnBehind(error)) this.#end(source);
      // Whoever closed a reader wants no more of it.
      const known = error.code === 'ERR_CLOSED_HANDLE';
      const unwanted = isDead && !this.#tellsOfDeath;
      if (known || unwanted) this.#events.wake();
      else this.tell(error);
    }
  }

  #rest(source: Source<Out>): void {
    source.rest(
      () => this.#events.wake(),
      (error) => this.fail(source, error),
    );
  }

  /** Lets go of those whose file is gone, with their writer, and of those that are known to be over. */
  dropThoseLeft(): void {
    if (this.#someRemoved) for (const source of this.#all) if (source.isRemoved) this.isOver(source);
    this.dropThoseOver();
  }

  /** Of all that have ended, whether that was known or not. */
  dropThoseThatEnded(): void {
    for (const source of this.#all) this.isOver(source);
    this.dropThoseOver();
  }

  dropThoseOver(): void {
    if (!this.#someOver) return;
    for (const source of this.#all) if (source.over) this.#drop(source);
    this.#all = this.#all.filter(({ over }) => !over);
    this.#someRemoved = this.#all.some(({ isRemoved }) => isRemoved);
    this.#someOver = false;
  }

  #drop(source: Source<Out>): void {
    const { reader } = source;
    const last = source.isRemoved ? undefined : source.describe();
    if (last !== undefined) this.#gone.set(reader.path, last);
    this.#lostOfGone += reader.lost;
    reader.close();
  }

  get #isWatched(): boolean {
    return this.#directory?.watched === true;
  }

  /** Whether none is left, and none will come. */
  get haveEnded(): boolean {
    return this.#all.length === 0 && !this.#isWatched;
  }

  /** Where each stands, those too that are no longer read, as long as their file is there. */
  describe(): ManySource[] {
    const read = this.#all.map((source) => source.describe());
    return [...this.#gone.values(), ...read.filter((source) => source !== undefined)];
  }

  /** How many records were lost, of those too that are no longer read. */
  get lost(): number {
    return this.#all.reduce((lost, { reader }) => lost + reader.lost, this.#lostOfGone);
  }

  /** The reader of the channel under that path, while it is read. */
  reader(path: string): Reader<Out> | undefined {
    return this.#all.findLast(({ reader }) => reader.path === path)?.reader;
  }

  closeReaders(): void {
    for (const { reader } of this.#all) reader.close();
  }

  close(): void {
    this.#directory?.close();
    this.closeReaders();
  }
}
