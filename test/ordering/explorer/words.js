/**
 * The shared words of a channel as the explorer knows them: one byte each. Positions are in units, a split word is one word
 * (its tearing is another matter, and has tests of its own), and a frame is two words a unit: its length, and a body in which
 * stamp, kind and payload are one. A record of two units has a second body, and payload where the next length would stand.
 */
export const LIMIT = 0;
export const TAIL = 1;
export const REGISTRATION = 2;
export const WAITERS = 3;
export const WAKE_SEQUENCE = 4;
export const ROOM_WANTED = 5;
export const ROOM_SEQUENCE = 6;
const SLOT_STATES = 7;
const SLOT_POSITIONS = 9;
const SLOT_PATIENCES = 11;
const FRAMES = 13;

export const FREE = 0;
export const CLAIMING = 1;
export const GATING = 2;
export const EVICTED = 4;
/** A slot's state word: above these bits is its generation, of which four bits are enough here. */
const STATE_BITS = 4;
const STATE_MASK = 15;

/** Who sleeps: bits of WAITERS and ROOM_WANTED. */
export const FUTEX = 1;
export const BELL = 2;

/** Positions are below this: a body has four bits for its own. */
export const POSITIONS = 16;
const PAD = 16;
const SECOND_LIFE = 32;
const SECOND_UNIT = 64;
const THERE = 128;

export function slotState(slot) {
  return SLOT_STATES + slot;
}

export function slotPosition(slot) {
  return SLOT_POSITIONS + slot;
}

/** 0: never; otherwise it may be evicted at any time. */
export function slotPatience(slot) {
  return SLOT_PATIENCES + slot;
}

/** table.ts slotState */
export function stateOf(stateWord) {
  return stateWord & STATE_MASK;
}

/** table.ts nextState */
export function nextState(stateWord, state) {
  return ((((stateWord >> STATE_BITS) + 1) << STATE_BITS) & 255) | state;
}

/** A state word that no slot has any more. */
export function staleState(stateWord) {
  return (STATE_MASK << STATE_BITS) | stateOf(stateWord);
}

export function lengthAt(unit) {
  return FRAMES + 2 * unit;
}

export function bodyAt(unit) {
  return FRAMES + 2 * unit + 1;
}

export function wordCount(units) {
  return FRAMES + 2 * units;
}

/** The body of a frame: who finds it at `position` takes it for the one that belongs there. */
export function bodyOf(position, life, isPad) {
  return THERE | position | (life > 0 ? SECOND_LIFE : 0) | (isPad ? PAD : 0);
}

/** The rest of a payload. It looks like a frame at its own place: no reader may get to take it for one. */
export function secondBodyOf(position, life) {
  return bodyOf(position + 1, life, false) | SECOND_UNIT;
}

export function isStampedFor(body, position) {
  return (body & THERE) !== 0 && (body & (POSITIONS - 1)) === position;
}

export function isPad(body) {
  return (body & PAD) !== 0;
}

const NAMES = [
  'limit',
  'tail',
  'registration',
  'waiters',
  'wake sequence',
  'room wanted',
  'room sequence',
  'state of slot 0',
  'state of slot 1',
  'position of slot 0',
  'position of slot 1',
  'patience of slot 0',
  'patience of slot 1',
];

const STATE_NAMES = { [FREE]: 'FREE', [CLAIMING]: 'CLAIMING', [GATING]: 'GATING', [EVICTED]: 'EVICTED' };

export function nameOf(word) {
  if (word < FRAMES) return NAMES[word];
  return `${(word - FRAMES) % 2 === 0 ? 'length' : 'body'}[${(word - FRAMES) >> 1}]`;
}

export function describeValue(word, value) {
  if (word === SLOT_STATES || word === SLOT_STATES + 1) {
    return `${STATE_NAMES[stateOf(value)]} (generation ${value >> STATE_BITS})`;
  }
  if (word < FRAMES || (word - FRAMES) % 2 === 0) return String(value);
  if (value === 0) return 'nothing';
  const what = isPad(value) ? 'PAD' : (value & SECOND_UNIT) !== 0 ? 'second half' : 'record';
  return `${what} of ${value & (POSITIONS - 1)}${(value & SECOND_LIFE) !== 0 ? ', resumed' : ''}`;
}
