import { join } from 'node:path';
import {
  type Limits,
  Line,
  limitsFromNow,
  refuseDanglingLink,
  type Task,
  throwIfAborted,
  type WaitOptions,
  waitUntil,
  within,
} from '../../channel/index.js';
import { closedHandle, invalidArgument, MillraceError } from '../../errors.js';
import { CURSORS_FILE, DEFAULT_FILE_MODE, type Directory, refuseOtherLog } from '../files/index.js';
import * as L from './cursor-layout.js';
import { CursorMapping } from './cursor-mapping.js';
import type { CursorName } from './cursor-name.js';
import { type CursorEntry, type CursorFault, NO_ROOM } from './cursor-slots.js';
import { CursorSync } from './cursor-sync.js';

/** Somebody else holds the lock. */
const NOT_NOW = Symbol('not now');
/** The file must be opened for changes first, or made, or another one in its place. */
const NOT_READY = Symbol('not ready');
/** Others hold the lock for microseconds, or while they sync a larger file. Whoever holds it longer stands still. */
const PATIENCE_MS = 10_000;

/** Where the cursor stands then, or why that is not to be told yet. */
type Outcome = number | typeof NOT_NOW | typeof NOT_READY | typeof NO_ROOM;

/**
 * The named cursors of the log in a directory. Reading takes no lock. A change takes the file's for a few stores, by plain
 * calls where nobody else has it; else those who want one wait in a line.
 */
export class CursorFile {
  /** The log's directory. */
  readonly directory: string;
  readonly path: string;
  /** Of the log, where that is known. */
  readonly #id: Directory['id'];
  readonly #readOnly: boolean;
  readonly #sync = new CursorSync(() => this.#current());
  readonly #fileMode: number;
  /** Those who can't make their change by plain calls. */
  readonly #line = new Line();
  #mapping: CursorMapping | undefined;
  #closing: Promise<void> | undefined;

  /** `fileMode`: of the file, where it has to be made. `id`: only the log with this one is to have it. */
  constructor(
    directory: string,
    {
      readOnly = false,
      fileMode = DEFAULT_FILE_MODE,
      id,
    }: { readOnly?: boolean; fileMode?: number; id?: Directory['id'] } = {},
  ) {
    this.directory = directory;
    this.path = join(directory, CURSORS_FILE);
    this.#readOnly = readOnly;
    this.#fileMode = fileMode;
    this.#id = id;
  }

  /** The next offset to read; undefined where none was set yet. */
  get(name: CursorName): number | undefined {
    this.#assertOpen();
    return this.#current()?.slots.read(name);
  }

  /** All cursors in the order of their names, those that are damaged first. */
  list(): CursorEntry[] {
    this.#assertOpen();
    const entries = this.#current()?.slots.entries() ?? [];
    // One that is deleted and set again elsewhere meanwhile is met in both places: it stands where it was seen last.
    return entries.filter(({ name }, i) => name === undefined || name !== entries[i + 1]?.name);
  }

  /** All that is damaged in the file. */
  faults(): CursorFault[] {
    this.#assertOpen();
    return this.#current()?.slots.faults() ?? [];
  }

  /** The least offset of all cursors, where there are any. Throws where that of one can't be told. */
  lowest(): number | undefined {
    this.#assertOpen();
    return this.#current()?.slots.lowest();
  }

  /** Moves it there if it isn't further already, or anyway where that is forced. Gives where it stands then. */
  set(name: CursorName, offset: number, force: boolean, options?: WaitOptions): number | Promise<number> {
    this.#assertWritable();
    // What is set at once waits for nothing that would end by it.
    if (options !== undefined) throwIfAborted(options.signal, this.#setting(name));
    if (this.#line.isEmpty) {
      const outcome = this.#put(name, offset, force);
      if (typeof outcome === 'number') return outcome;
    }
    return this.#setInLine(name, offset, force, options);
  }

  /** Moves it back if it still stands where it was seen: others may have moved it. Resolves with whether it did. */
  async setBack(name: CursorName, from: number, to: number): Promise<boolean> {
    this.#assertWritable();
    const task = this.#setting(name);
    return this.#inLine(task, undefined, (limits) =>
      this.#holding(
        async ({ slots }) => {
          slots.assertWhole();
          if (slots.read(name) !== from) return false;
          slots.put(name, to, true);
          this.#sync.soon();
          return true;
        },
        task,
        limits,
      ),
    );
  }

  /** Resolves with whether there was one, once the disk knows that there is none. */
  async delete(name: CursorName, options?: WaitOptions): Promise<boolean> {
    this.#assertWritable();
    const task = this.#on(`Deleting the cursor '${name.text}'`);
    throwIfAborted(options?.signal, task);
    return this.#inLine(task, options, async (limits) => {
      // Not sooner: who sets one before this may be about to make the file.
      if (this.#current() === undefined) return false;
      return this.#holding(
        async (mapping) => {
          mapping.slots.assertWhole();
          if (!mapping.slots.remove(name)) return false;
          await this.#sync.bring(mapping);
          mapping.slots.freeRemoved();
          return true;
        },
        task,
        limits,
      );
    });
  }

  /**
   * Puts back what checksums tell of, and gives up the cursors of which nobody can tell where they stood; resolves with what
   * is left to tell of these. `aside` is called before any of them is given up.
   */
  async repair(aside: () => Promise<void>): Promise<CursorEntry[]> {
    this.#assertWritable();
    const current = this.#current();
    if (current === undefined || current.slots.faults().length === 0) return [];
    const task = this.#on('Repairing the cursors');
    return this.#inLine(task, undefined, (limits) =>
      this.#holding(
        async (damaged) => {
          const { count, missing } = damaged.slots;
          const lost = lostIn(damaged);
          if (lost.length > 0) await aside();
          const whole = missing > 0 ? await this.#replace(damaged, count + missing) : damaged;
          const left = await this.#mendSlots(whole);
          return lost.filter(({ slot }) => slot === count || left.includes(slot));
        },
        task,
        limits,
      ),
    );
  }

  /**
   * Puts a new file in the place of one whose header is damaged, with the cursors that can be told; resolves with what is
   * left to tell of the others. Who sets cursors meanwhile goes over to that one. `aside` is called before.
   */
  async rebuild(aside: () => Promise<void>): Promise<CursorEntry[]> {
    this.#assertWritable();
    const task = this.#on('Repairing the cursors');
    const lost = await this.#inLine(task, undefined, async (limits) => {
      const damaged = await CursorMapping.openDamaged(this.path, aside, task, limits);
      if (damaged === undefined) return undefined;
      try {
        let slots = L.FIRST_SLOTS;
        while (slots < damaged.slots.count) slots *= 2;
        const lost = lostIn(damaged);
        const left = await this.#mendSlots(await this.#replace(damaged, slots));
        return lost.filter(({ slot }) => left.includes(slot));
      } finally {
        this.#mapping?.unlock();
        damaged.close();
      }
    });
    // Undefined: somebody has put a larger one in its place.
    return lost ?? this.repair(aside);
  }

  /** In a file that is locked. Gives the slots of those that were given up. */
  async #mendSlots(mapping: CursorMapping): Promise<number[]> {
    mapping.slots.mend();
    const lost = lostIn(mapping).map(({ slot }) => slot);
    mapping.slots.removeLost();
    await this.#sync.bring(mapping);
    mapping.slots.freeRemoved();
    return lost;
  }

  /** Resolves once all that was set before is on the disk. */
  async flush(options?: WaitOptions): Promise<void> {
    this.#assertOpen();
    const task = this.#on('Syncing the cursors');
    throwIfAborted(options?.signal, task);
    await within(this.#flushAll(), task, limitsFromNow(options));
  }

  async #flushAll(): Promise<void> {
    await this.#line.settled();
    if (!this.#readOnly) await this.#sync.flush();
  }

  /** What was set is on the disk then. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    try {
      await this.#line.settled();
      await this.#sync.finish();
    } finally {
      this.#mapping?.close();
      this.#mapping = undefined;
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedHandle('log', this.directory);
  }

  #assertWritable(): void {
    this.#assertOpen();
    if (!this.#readOnly) return;
    throw new MillraceError(
      'ERR_PERMISSION',
      `${this.directory} is open for reading only: cursors are set where the log is open to append, or with readOnly: 'records'`,
      { path: this.directory },
    );
  }

  /** The file that the cursors are in now, if there is one. */
  #current(): CursorMapping | undefined {
    const known = this.#mapping;
    if (known !== undefined && !(known.moved && known.place === 'elsewhere')) return known;
    const opened = CursorMapping.open(this.path, !this.#readOnly);
    if (opened !== undefined) this.#goOver(this.#ofThisLog(opened));
    return this.#mapping;
  }

  /** The same one; throws where it may be another log's, which has taken this one's place. */
  #ofThisLog(opened: CursorMapping): CursorMapping {
    try {
      this.#refuseOther();
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  #refuseOther(): void {
    if (this.#id !== undefined) refuseOtherLog({ path: this.directory, id: this.#id });
  }

  #goOver(mapping: CursorMapping): void {
    this.#mapping?.close();
    this.#mapping = mapping;
  }

  #put(name: CursorName, offset: number, force: boolean): Outcome {
    const mapping = this.#tryLock();
    if (typeof mapping === 'symbol') return mapping;
    try {
      mapping.slots.assertWhole();
      const outcome = mapping.slots.put(name, offset, force);
      this.#sync.soon();
      return outcome;
    } finally {
      mapping.unlock();
    }
  }

  #tryLock(): CursorMapping | typeof NOT_NOW | typeof NOT_READY {
    const mapping = this.#mapping;
    if (mapping === undefined || !mapping.writable) return NOT_READY;
    this.#sync.refuseFailed(mapping);
    if (!mapping.tryLock()) return NOT_NOW;
    if (mapping.moved) {
      if (mapping.place === 'elsewhere') {
        mapping.unlock();
        return NOT_READY;
      }
      mapping.stay();
    }
    return mapping;
  }

  #setting(name: CursorName): Task {
    return this.#on(`Setting the cursor '${name.text}'`);
  }

  #on(what: string): Task {
    const path = this.directory;
    return { what: `${what} of ${path}`, path };
  }

  /** One after the other, in the order in which they came. */
  async #inLine<T>(
    task: Task,
    options: WaitOptions | undefined,
    work: (limits: Limits) => Promise<T>,
  ): Promise<T> {
    const limits = limitsFromNow({ signal: options?.signal, timeoutMs: options?.timeoutMs ?? PATIENCE_MS });
    return this.#line.enter(() => work(limits), task, limits);
  }

  async #setInLine(name: CursorName, offset: number, force: boolean, options?: WaitOptions): Promise<number> {
    const task = this.#setting(name);
    return this.#inLine(task, options, async (limits) => {
      for (;;) {
        await this.#open(task, limits);
        const outcome = await waitUntil(() => unlessNotNow(this.#put(name, offset, force)), task, limits);
        if (typeof outcome === 'number') return outcome;
        if (outcome === NO_ROOM) await this.#holding((mapping) => this.#enlarge(mapping), task, limits);
      }
    });
  }

  /** Opens the file for changes, or makes it. */
  async #open(task: Task, limits: Limits): Promise<void> {
    for (;;) {
      const mapping =
        this.#current() ?? (await this.#create()) ?? (await waitUntil(() => this.#current(), task, limits));
      try {
        await mapping.allowWrites();
      } catch (error) {
        if (mapping === this.#mapping) throw error;
      }
      // Somebody may have gone over to another one meanwhile.
      if (mapping === this.#mapping) return;
    }
  }

  /** Undefined where another one was quicker. */
  async #create(): Promise<CursorMapping | undefined> {
    this.#refuseOther();
    const made = await CursorMapping.create(this.path, this.#fileMode);
    if (made === undefined) {
      refuseDanglingLink(this.path);
      return undefined;
    }
    this.#goOver(this.#ofThisLog(made));
    made.unlock();
    return made;
  }

  /** Holds the lock for as long as the work takes. */
  async #holding<T>(work: (mapping: CursorMapping) => Promise<T>, task: Task, limits: Limits): Promise<T> {
    for (;;) {
      await this.#open(task, limits);
      const mapping = await waitUntil(() => unlessNotNow(this.#tryLock()), task, limits);
      if (mapping === NOT_READY) continue;
      try {
        return await work(mapping);
      } finally {
        // A file that took its place was made with the lock held.
        this.#mapping?.unlock();
      }
    }
  }

  async #enlarge(mapping: CursorMapping): Promise<void> {
    // Another one has done it.
    if (mapping.slots.hasRoom) return;
    const slots = mapping.slots.count * 2;
    if (slots > L.MOST_SLOTS) {
      throw invalidArgument(`A log has at most ${L.MOST_SLOTS} cursors`, { path: this.directory });
    }
    await this.#replace(mapping, slots);
  }

  async #replace(mapping: CursorMapping, slots: number): Promise<CursorMapping> {
    const replacement = await mapping.replace(slots);
    this.#goOver(replacement);
    return replacement;
  }
}

function lostIn({ slots }: CursorMapping): CursorEntry[] {
  return slots.entries().filter(({ offset }) => offset === undefined);
}

function unlessNotNow<T>(outcome: T | typeof NOT_NOW): T | undefined {
  return outcome === NOT_NOW ? undefined : outcome;
}
