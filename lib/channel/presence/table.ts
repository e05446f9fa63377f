import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import { loadPosition, type Mapped, readFrozen, storePosition, writeFrozen } from '../file/index.js';
import * as L from '../layout.js';
import { environment } from '../runtime/index.js';
import { ROOM, wakeSleepers } from '../waiting/index.js';
import { isLocked } from './liveness.js';

/** What others see of a reader. */
export interface ReaderInfo {
  /** Its place in the reader table. */
  slot: number;
  /** Whether it holds the writer back (`gating`). */
  state: 'gating' | 'observing' | 'evicted' | 'joining';
  /** As it said when it was opened. */
  name: string;
  /** In its own pid namespace. */
  pid: number;
  /** Where it stands, as it published last. */
  position: number;
  /** Bytes of the stream between this reader and the tail. */
  lagBytes: number;
  /** Records between them. Not in errors, and not where it was overtaken. */
  lagRecords?: number;
  /** How often it was overtaken. */
  overtaken: number;
  /** How many bytes of the stream it lost by that. */
  lostBytes: number;
  /** How long it may stand still while it holds the writer back; undefined: for ever. */
  evictAfterMs: number | undefined;
  /** Whether its process, or thread, lives. */
  alive: boolean;
}

declare module '../../errors.js' {
  interface MillraceError {
    /** Of ERR_BACK_PRESSURE: who is in the way. */
    readonly readers?: readonly ReaderInfo[];
    /** Of ERR_NO_READER_SLOT: who has the slots. */
    readonly holders?: readonly ReaderInfo[];
  }
}

export const REGISTRATION = L.REGISTRATION_OFFSET >> 2;
const TAIL = L.TAIL_OFFSET >> 2;
const STATE_BITS = 4;
const STATE_MASK = (1 << STATE_BITS) - 1;
/** System calls, a microsecond or so each. */
const TRIES_FOR_LEFT = 100;

export const SLOT_POSITION = L.SLOT_POSITION_OFFSET >> 2;
const STATE_NAMES: Record<number, ReaderInfo['state']> = {
  [L.SLOT_CLAIMING]: 'joining',
  [L.SLOT_GATING]: 'gating',
  [L.SLOT_OBSERVING]: 'observing',
  [L.SLOT_EVICTED]: 'evicted',
};

/** The index of a slot's first word. */
export function slotWord(channel: Mapped, slot: number): number {
  return (channel.header.readersOffset + slot * L.SLOT_BYTES) >> 2;
}

export function lockByteOf(slot: number): number {
  return 1 + slot;
}

export function slotState(stateWord: number): number {
  return stateWord & STATE_MASK;
}

/** The word of the next generation: whoever still holds an old one fails its compare-and-swap. */
function nextState(stateWord: number, state: number): number {
  return (((stateWord >> STATE_BITS) + 1) << STATE_BITS) | state;
}

/** Moves a slot on to another state; false if it changed meanwhile. */
export function changeSlot(words: Int32Array, at: number, from: number, state: number): boolean {
  return Atomics.compareExchange(words, at, from, nextState(from, state)) === from;
}

/**
 * Takes a slot for this reader: the one whose lock byte it holds, whatever state a dead owner left it in.
 * Free ones first; only then those whose owner may have died, since that costs a system call each.
 * Undefined: all are taken by living readers.
 */
export function claimSlot(channel: Mapped, name: string, evictAfterMs: number): number | undefined {
  const slot = lockSlot(channel, true) ?? lockSlot(channel, false) ?? lockLeftSlot(channel);
  if (slot === undefined) return undefined;
  // step 24
  takeSlot(channel, slotWord(channel, slot), name, evictAfterMs);
  return slot;
}

/** The first slot, or the first free one, whose lock byte nobody had. */
function lockSlot(channel: Mapped, onlyFree: boolean): number | undefined {
  for (let slot = 0; slot < channel.header.readerSlots; slot++) {
    if (onlyFree && !isFree(channel, slot)) continue;
    if (binding().lockByte(channel.file, lockByteOf(slot))) return slot;
  }
  return undefined;
}

/**
 * Whoever leaves a slot frees it a moment before it gives up the lock. But it may have been stopped in between, for ever:
 * then it has the slot.
 */
function lockLeftSlot(channel: Mapped): number | undefined {
  for (let tries = 0; tries < TRIES_FOR_LEFT && isAnyFree(channel); tries++) {
    const slot = lockSlot(channel, true);
    if (slot !== undefined) return slot;
  }
  return undefined;
}

function isAnyFree(channel: Mapped): boolean {
  for (let slot = 0; slot < channel.header.readerSlots; slot++) if (isFree(channel, slot)) return true;
  return false;
}

function isFree(channel: Mapped, slot: number): boolean {
  return slotState(Atomics.load(channel.words, slotWord(channel, slot))) === L.SLOT_FREE;
}

function takeSlot(channel: Mapped, at: number, name: string, evictAfterMs: number): void {
  const { words, bytes } = channel;
  // Only a writer that evicts or frees a dead GATING slot may still change the state; it loses or wins once.
  let state = Atomics.load(words, at);
  while (!changeSlot(words, at, state, L.SLOT_CLAIMING)) state = Atomics.load(words, at);
  // step 25
  // A dead reader's hold on the writer ended with that: tell it.
  if (slotState(state) === L.SLOT_GATING) {
    Atomics.add(words, REGISTRATION, 1);
    wakeSleepers(channel, ROOM);
  }
  words[at + (L.SLOT_PID_OFFSET >> 2)] = environment.pid;
  writeFrozen(words, at + (L.SLOT_START_OFFSET >> 2), environment.startTicks());
  words[at + (L.SLOT_OVERTAKEN_OFFSET >> 2)] = 0;
  writeFrozen(words, at + (L.SLOT_LOST_OFFSET >> 2), 0);
  words[at + (L.SLOT_EVICT_AFTER_OFFSET >> 2)] = evictAfterMs;
  const nameAt = at * 4 + L.SLOT_NAME_OFFSET;
  bytes.fill(0, nameAt, nameAt + L.SLOT_NAME_BYTES);
  bytes.write(name, nameAt, L.SLOT_NAME_BYTES);
  // step 26
}

/** Gives a slot back. The sequence only tells a waiting writer; safety needs none. */
export function releaseSlot(channel: Mapped, slot: number): void {
  const at = slotWord(channel, slot);
  let state = Atomics.load(channel.words, at);
  // The writer may evict at this very moment: then the second try sees it.
  while (!changeSlot(channel.words, at, state, L.SLOT_FREE)) state = Atomics.load(channel.words, at);
  // step 27
  Atomics.add(channel.words, REGISTRATION, 1);
  wakeSleepers(channel, ROOM);
  // step 28
  binding().unlockByte(channel.file, lockByteOf(slot));
}

/**
 * Frees the slot of a dead reader, whose state was read before. The lock is tested only: who came while it was held here
 * would take the slot for a living reader's. Whoever takes the slot meanwhile changes its state to one of another generation,
 * and then it is not freed; or takes a free one.
 */
export function freeDeadSlot(channel: Mapped, slot: number, stateWord: number): boolean {
  if (isLocked(channel, lockByteOf(slot))) return false;
  // step 33
  const freed = changeSlot(channel.words, slotWord(channel, slot), stateWord, L.SLOT_FREE);
  // step 34
  if (freed) Atomics.add(channel.words, REGISTRATION, 1);
  return freed;
}

export function isGating(channel: Mapped, slot: number): boolean {
  return slotState(Atomics.load(channel.words, slotWord(channel, slot))) === L.SLOT_GATING;
}

export function isEvicted(channel: Mapped, slot: number): boolean {
  return slotState(Atomics.load(channel.words, slotWord(channel, slot))) === L.SLOT_EVICTED;
}

/** For a reader that tried to join again after it was evicted, and found no place. */
export function evictAgain(channel: Mapped, slot: number): void {
  const at = slotWord(channel, slot);
  let state = Atomics.load(channel.words, at);
  while (slotState(state) !== L.SLOT_EVICTED && !changeSlot(channel.words, at, state, L.SLOT_EVICTED)) {
    state = Atomics.load(channel.words, at);
  }
  Atomics.add(channel.words, REGISTRATION, 1);
  wakeSleepers(channel, ROOM);
}

/** Starts to observe: seen by others, holds nobody back. */
export function observeFrom(channel: Mapped, slot: number, position: number): void {
  const at = slotWord(channel, slot);
  storePosition(channel.words, at + SLOT_POSITION, position);
  changeSlot(channel.words, at, Atomics.load(channel.words, at), L.SLOT_OBSERVING);
}

/** Notes on a slot what its reader lost; for those who watch. */
export function noteLoss(channel: Mapped, slot: number, bytes: number): void {
  const { words } = channel;
  const at = slotWord(channel, slot);
  words[at + (L.SLOT_OVERTAKEN_OFFSET >> 2)]++;
  const lost = at + (L.SLOT_LOST_OFFSET >> 2);
  writeFrozen(words, lost, readFrozen(words, lost) + bytes);
}

/** The reader table as it is now; looks only. */
export function listReaders(channel: Mapped): ReaderInfo[] {
  const { words, bytes, header } = channel;
  const tail = loadPosition(words, TAIL);
  const readers: ReaderInfo[] = [];
  for (let slot = 0; slot < header.readerSlots; slot++) {
    const at = slotWord(channel, slot);
    const state = STATE_NAMES[slotState(Atomics.load(words, at))];
    if (state === undefined) continue;
    const nameAt = at * 4 + L.SLOT_NAME_OFFSET;
    const name = bytes.subarray(nameAt, nameAt + L.SLOT_NAME_BYTES);
    const position = loadPosition(words, at + SLOT_POSITION);
    const evictAfterMs = words[at + (L.SLOT_EVICT_AFTER_OFFSET >> 2)];
    readers.push({
      slot,
      state,
      name: name.toString('utf8', 0, endOfName(name)),
      pid: words[at + (L.SLOT_PID_OFFSET >> 2)],
      position,
      lagBytes: Math.max(0, tail - position),
      overtaken: words[at + (L.SLOT_OVERTAKEN_OFFSET >> 2)],
      lostBytes: readFrozen(words, at + (L.SLOT_LOST_OFFSET >> 2)),
      evictAfterMs: evictAfterMs === 0 ? undefined : evictAfterMs,
      alive: isLocked(channel, lockByteOf(slot)),
    });
  }
  return readers;
}

function endOfName(name: Buffer): number {
  const end = name.indexOf(0);
  return end === -1 ? name.length : end;
}

export function noReaderSlot(channel: Mapped): MillraceError {
  const holders = listReaders(channel);
  const some = holders.slice(0, 5).map(({ name, pid }) => `${name || 'unnamed'} (pid ${pid})`);
  return new MillraceError(
    'ERR_NO_READER_SLOT',
    channel.header.readerSlots === 0
      ? `${channel.path} has no reader slots, so nobody may hold its writer back: open it with gate: false`
      : `All ${channel.header.readerSlots} reader slots of ${channel.path} are taken, by ${some.join(', ')}` +
          `${holders.length > some.length ? ', …' : ''}. Open with gate: false, or make the channel with more`,
    { path: channel.path, holders },
  );
}
