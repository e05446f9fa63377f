import {
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { binding } from '../../dist/native.js';
import { Chance } from './chance.js';
import { History } from './history.js';
import { WatchedFile } from './watched-file.js';

/**
 * Knows what the disk under a directory and its folders must hold, and what it may: what a completed sync covers is there, of
 * everything else each page is, on its own and at random, in some state that it was ever seen in since.
 */
export class Disk {
  #directory;
  /** By inode: a name may lead to one file today and to another tomorrow. */
  #files = new Map();
  /** By name, with the folder it is in, the inode it leads to; undefined where nothing has the name. */
  #names = new Map();
  #looks = 0;

  /** What is there now, is on the disk. */
  constructor(directory) {
    this.#directory = resolve(directory);
    const look = this.look();
    for (const file of this.#files.values()) file.promise(look);
    this.#promiseNames(look, () => true);
  }

  /** Records what everything is now. Returns the number of the look. */
  look() {
    const look = ++this.#looks;
    const present = this.#lookAtNames();
    for (const name of new Set([...present.keys(), ...this.#names.keys()])) {
      const inode = present.get(name);
      if (!this.#names.has(name)) this.#names.set(name, new History(undefined, 0));
      const history = this.#names.get(name);
      if (history.latest !== inode) history.record(look, inode);
    }
    for (const file of this.#files.values()) file.look(look);
    return look;
  }

  #lookAtNames() {
    const present = new Map();
    for (const name of readdirSync(this.#directory, { recursive: true })) {
      const path = join(this.#directory, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.isFile() !== true) continue;
      present.set(name, stat.ino);
      if (!this.#files.has(stat.ino)) this.#watch(stat.ino, path);
    }
    return present;
  }

  #watch(inode, path) {
    this.#files.set(inode, new WatchedFile(openSync(path, constants.O_RDONLY)));
  }

  /** A file that this process has open may have no name yet, and be brought to the disk before it gets one. */
  #watchUnnamed(inode) {
    for (const descriptor of readdirSync('/proc/self/fd')) {
      const path = `/proc/self/fd/${descriptor}`;
      try {
        if (!readlinkSync(path).startsWith(`${this.#directory}/`) || statSync(path).ino !== inode) continue;
      } catch {
        // The one that the listing itself was read through.
        continue;
      }
      this.#watch(inode, path);
      return;
    }
  }

  /**
   * A sync of the file begins. Undefined for a file of elsewhere. `stores`: the bytes [start, end) that it stores
   * itself before it syncs, where nobody else stores anything.
   */
  beginFileSync(inode, stores = { start: 0, end: 0 }) {
    if (!this.#files.has(inode)) this.#watchUnnamed(inode);
    const begun = this.look();
    const file = this.#files.get(inode);
    if (file === undefined) return undefined;
    return {
      done: () => {
        const now = this.look();
        file.promise(begun);
        if (stores.start < stores.end) file.promiseBytes(stores.start, stores.end, now);
      },
    };
  }

  /** A sync of the names in a directory begins: this one, or a folder in it. Undefined for another directory. */
  beginNameSync(directory) {
    const folder = join('.', relative(this.#directory, resolve(directory)));
    if (folder.startsWith('..')) return undefined;
    const begun = this.look();
    return { done: () => this.#promiseNames(begun, (name) => dirname(name) === folder) };
  }

  #promiseNames(look, isMeant) {
    const wanted = new Set();
    const had = new Set();
    for (const [name, history] of this.#names) {
      for (const inode of history.states) had.add(inode);
      if (isMeant(name)) history.promise(look);
      for (const inode of history.states) wanted.add(inode);
      if (history.latest === undefined && history.states.length === 1) this.#names.delete(name);
    }
    for (const inode of had) if (!wanted.has(inode)) this.#forget(inode);
  }

  #forget(inode) {
    this.#files.get(inode)?.close();
    this.#files.delete(inode);
  }

  /**
   * Writes one of the things that a power cut now may leave into another directory; `random(n)`: 0 to n - 1. Returns
   * how it was drawn.
   */
  image(random, target, mode) {
    this.look();
    const pages = [...this.#files.values()].flatMap(({ unsettled }) => unsettled);
    const chance = new Chance(random, mode, pages, [...this.#names.values()]);
    mkdirSync(target, { recursive: true });
    const made = new Map();
    for (const [name, inode] of this.#drawNames(chance)) {
      const path = join(target, name);
      mkdirSync(dirname(path), { recursive: true });
      const first = made.get(inode);
      if (first === undefined) writeFileSync(path, this.#files.get(inode).draw(chance), { mode: 0o600 });
      else linkSync(first, path);
      made.set(inode, first ?? path);
    }
    return chance.mode;
  }

  /**
   * Names that led to the same file are of one moment: whoever is renamed has either name after a power cut, and no
   * file that was on the disk is lost between two names.
   */
  #drawNames(chance) {
    const drawn = [];
    for (const names of this.#kinships()) {
      const histories = names.map((name) => this.#names.get(name));
      const changes = [...new Set(histories.flatMap(({ changes }) => changes))].sort((a, b) => a - b);
      const look = chance.lookFor(changes);
      for (const [i, name] of names.entries()) {
        const inode = histories[i].at(look);
        if (inode !== undefined) drawn.push([name, inode]);
      }
    }
    return drawn;
  }

  /** The names, in groups of those that led to the same file at any time since the last sync of the directory. */
  #kinships() {
    const groups = [];
    for (const [name, { states }] of this.#names) {
      const inodes = new Set(states.filter((inode) => inode !== undefined));
      const group = { names: [name], inodes };
      for (const other of groups.filter((known) => [...inodes].some((inode) => known.inodes.has(inode)))) {
        group.names.push(...other.names);
        for (const inode of other.inodes) inodes.add(inode);
        groups.splice(groups.indexOf(other), 1);
      }
      groups.push(group);
    }
    return groups.map(({ names }) => names);
  }

  close() {
    for (const inode of [...this.#files.keys()]) this.#forget(inode);
  }
}

/**
 * Which sync a call of each method begins, if any, and whether its result says that it was one. What stands here is all
 * that the simulator knows of the object that brings stores to the disk.
 */
const SYNCS = {
  flushFrames: (simulator, [file, start, end, , , sync]) => ({
    begun: sync ? simulator.beginFileSync(binding().statFile(file).inode, { start, end }) : undefined,
    synced: (stopped) => stopped === end,
  }),
  syncDirectory: (simulator, [directory]) => ({
    begun: simulator.beginNameSync(directory),
    synced: () => true,
  }),
};

/**
 * Lets the simulator know of every sync that goes by way of `disk`. `pass` is asked before one of them has ended for
 * whoever waits: it may take its time, in which nothing is promised yet; if it throws, the sync has failed. Returns
 * what undoes it.
 */
export function watchSyncs(disk, simulator, pass) {
  const real = {};
  for (const [method, describe] of Object.entries(SYNCS)) {
    real[method] = disk[method];
    disk[method] = async (...given) => {
      const { begun, synced } = describe(simulator, given);
      const result = await real[method].apply(disk, given);
      if (begun !== undefined && synced(result)) {
        await pass?.(method);
        begun.done();
      }
      return result;
    };
  }
  return () => Object.assign(disk, real);
}
