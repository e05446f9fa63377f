import { binding } from '../../native.js';
import { fence, type Mapped } from '../file/index.js';
import * as L from '../layout.js';

/**
 * Two words by which one side of a channel lets the other sleep. Whoever is about to sleep sets its bit of `sleepers`
 * and looks for the last time whether there is still nothing to be done. Whoever did something looks at `sleepers`; where
 * it isn't 0, it takes the bits away, raises `sequence`, and only then enters the kernel to wake those that they name.
 *
 *   sleeper   set bit,      fence,  look at the data              one of the two sees the other's store,
 *   waker     store data,   fence,  look at the bits              whatever way they interleave
 *
 * Bits, not a count: there is nothing to leak when a sleeper dies. An exchange takes them away: a bit that is set
 * between a look and a store of 0 would be lost, and its sleeper with it.
 */
export interface Alarm {
  /** Indexes of words. */
  readonly sleepers: number;
  readonly sequence: number;
}

/** For readers: something was written, or the channel ended. */
export const ARRIVAL: Alarm = { sleepers: L.WAITERS_OFFSET >> 2, sequence: L.WAKE_SEQUENCE_OFFSET >> 2 };
/** For a writer: readers made room. */
export const ROOM: Alarm = { sleepers: L.ROOM_WANTED_OFFSET >> 2, sequence: L.ROOM_SEQUENCE_OFFSET >> 2 };

const WAKES = L.WAKES_OFFSET >> 2;
const EVERY_KIND = L.SLEEPER_BLOCKED | L.SLEEPER_LISTENING;

let joined: boolean | undefined;

/** Lets sleepers of other processes make this one's fences. False where that can't be had. */
export function joinFences(): boolean {
  joined ??= binding().joinFences();
  return joined;
}

/**
 * Whether this process has to fence between storing and looking for sleepers. On x64 the sleeper does it for both, by a
 * system call: what is done for each record must not cost a fence. Elsewhere the release store has one already, if the
 * look behind it is atomic.
 */
export function fencesItself(): boolean {
  return process.arch !== 'x64' || !joinFences();
}

/** Wakes those who sleep, if somebody does. Behind the store of what they wait for. */
export function wakeSleepers(channel: Mapped, alarm: Alarm): void {
  fence();
  if (Atomics.load(channel.words, alarm.sleepers) !== 0) wake(channel, alarm, 0);
}

/** Wakes those who sleep, and also whoever may have missed the wake of someone who died. */
export function wakeEveryone(channel: Mapped, alarm: Alarm): void {
  wake(channel, alarm, EVERY_KIND);
}

function wake({ words, file }: Mapped, { sleepers, sequence }: Alarm, atLeast: number): void {
  const kinds = Atomics.exchange(words, sleepers, 0);
  // step 90
  Atomics.add(words, sequence, 1);
  // step 91
  binding().wake(file, sequence << 2, kinds | atLeast);
  // step 92
  if (kinds !== 0 && sequence === ARRIVAL.sequence) words[WAKES]++;
}
