import { BELL, FUTEX } from './words.js';

const gating = { kind: 'gating' };
const late = { kind: 'gating', late: true };
const evictable = { kind: 'gating', evictable: true };
const observing = { kind: 'observing' };
const futex = { kind: 'gating', sleeps: FUTEX };
const bell = { kind: 'gating', sleeps: BELL };

/** On a ring of 4 units with some grants ahead; and on one of 3 where each record asks for its own. */
const wide = { units: 4, step: 1, records: [[1, 2, 1, 2]], readers: [gating] };
const tight = { units: 3, step: 0, records: [[1, 1, 1, 1]], readers: [gating] };
const tightLate = { ...tight, readers: [late] };
/** The third does not fit before the end. */
const padding = { ...wide, records: [[2, 1, 2, 1]] };
/** With the tail published behind each record. */
const publishing = { ...wide, publishes: true };
const asleep = { units: 4, step: 1, waking: true, records: [[1, 1]], readers: [futex] };

/** One slot: who has it dies or leaves, another comes for it. */
const holder = { ...gating, slot: 0 };
const newcomer = { ...holder, comes: true };
const mayDie = { ...holder, dies: true };
const handedOn = { ...tight, deaths: 1, readers: [mayDie, newcomer] };
const left = { ...tight, readers: [{ ...holder, leavesAfter: 1 }, newcomer] };
const leftByEvictable = { ...tight, readers: [{ ...evictable, slot: 0, leavesAfter: 1 }, newcomer] };

const ANYWHERE = ['SC', 'TSO', 'ARM'];
/** Some take too many states for a test on ARM; nothing is said of it there. */
const NOT_LOOKED_AT = { notLookedAt: ['ARM'] };

/** The protocol with one step wrong or left out, the smallest scenario that shows it, and the machines on which it does. */
export const BROKEN = [
  ['the length that commits is a plain store', 'commit plain', wide, ['ARM']],
  ['the next length word is not zeroed before the commit', 'no 0 behind', wide, ANYWHERE],
  ['no 0 is stored behind a PAD', 'no 0 behind a PAD', padding, ANYWHERE],
  ['no room is asked for the 0 behind', 'no room for the 0 behind', wide, ANYWHERE],
  ['the length is a plain load', 'length plain', wide, ['ARM']],
  ['the tail is published before the commit', 'tail before the commit', publishing, ANYWHERE],
  ['the tail is a plain store', 'tail plain', publishing, ['ARM']],
  [
    'the position of a reader is a plain store',
    'position plain',
    { ...wide, records: [[2, 2, 2]], lateLoads: true },
    ['ARM'],
  ],
  [
    'the position is not published before waiting',
    'position not published before waiting',
    { ...wide, readers: [{ ...gating, publishEvery: 9 }] },
    ANYWHERE,
  ],
  [
    'an observer does not check what it copied',
    'copy unchecked',
    { ...wide, readers: [observing] },
    ANYWHERE,
  ],
  ['who may be evicted does not check', 'copy unchecked', { ...wide, readers: [evictable] }, ANYWHERE],
  [
    'an observer checks without the fence',
    'check without fence',
    { ...tight, readers: [observing] },
    ['ARM'],
  ],
  [
    'who may be evicted checks without the fence',
    'check without fence',
    { ...tight, readers: [evictable] },
    ['ARM'],
  ],
  [
    'an observer believes a length of 0 unchecked',
    'nothing yet unchecked',
    { ...tight, readers: [observing] },
    ANYWHERE,
  ],
  [
    'who may be evicted believes a length of 0 unchecked',
    'nothing yet unchecked',
    { ...tight, readers: [evictable] },
    ANYWHERE,
  ],
  ['no fence between limit and the look at registrations', 'limit without fence', tightLate, ['TSO']],
  ['limit is a plain store', 'limit plain', tightLate, ['TSO', 'ARM']],
  ['no fence between registration and the look at limit', 'registration without fence', tightLate, ['TSO']],
  [
    'the registration sequence is not loaded again behind limit',
    'sequence not looked at again',
    { ...tight, readers: [late] },
    ANYWHERE,
  ],
  [
    'who registers does not look at limit',
    'limit ignored by who joins',
    { ...tight, readers: [late] },
    ANYWHERE,
  ],
  [
    'the tail is not published before limit, and a reader is overtaken',
    'tail not published',
    { ...wide, records: [[1, 1, 1, 1]], readers: [observing] },
    ANYWHERE,
  ],
  [
    'the tail is not published before limit, and the writer dies',
    'tail not published',
    { ...wide, records: [[1, 1, 1, 1], [1]], crash: true },
    ANYWHERE,
  ],
  [
    'who was overtaken loads the tail before limit',
    'tail loaded before limit',
    { ...tight, records: [[1, 1, 1, 1, 1]], readers: [observing] },
    ANYWHERE,
  ],
  [
    'a reader is evicted after the first store over its records',
    'evicted after overwriting',
    { ...wide, readers: [evictable] },
    ANYWHERE,
  ],
  [
    'the first frame of a batch is committed first',
    'first of a batch committed first',
    batches(),
    ANYWHERE,
    // What was committed is known once the last of its stores is made, seen or not: hidden, they are all made at once.
    { needsEveryOrder: true },
  ],
  ['the tail is published within a batch', 'tail within a batch', batches(), ANYWHERE],
  ['the writer looks for sleepers before it commits', 'bits looked at before the commit', asleep, ANYWHERE],
  ['who wakes does not raise the sequence', 'wake without the sequence', asleep, ANYWHERE],
  ['who raises the sequence wakes nobody', 'sequence without the wake', asleep, ANYWHERE],
  ['a thread sleeps without another look', 'no look before sleeping', asleep, ANYWHERE],
  [
    'an event loop waits for the bell without another look',
    'no look before sleeping',
    { ...asleep, readers: [bell] },
    ANYWHERE,
  ],
  [
    'an observer sleeps without another look at limit',
    'no guard before sleeping',
    { ...tight, waking: true, readers: [{ ...observing, sleeps: FUTEX }] },
    ANYWHERE,
  ],
  [
    'the wake sequence is loaded after the flag is set',
    'wake sequence loaded after the flag',
    asleep,
    ANYWHERE,
  ],
  [
    'an event loop listens only after its look',
    'listens after the look',
    { ...asleep, readers: [bell] },
    ANYWHERE,
  ],
  ['the flag is cleared after the sequence is raised', 'flag cleared after the bump', asleep, ANYWHERE],
  [
    'the flag is loaded and zeroed where two kinds sleep',
    'flag loaded and zeroed',
    { ...asleep, bufferSize: 3, readers: [futex, bell] },
    ['SC', 'TSO'],
    NOT_LOOKED_AT,
  ],
  [
    'the flag is a count that the writer resets',
    'waiters a count',
    { ...asleep, bufferSize: 3, readers: [futex, futex] },
    ['SC', 'TSO'],
    NOT_LOOKED_AT,
  ],
  ['a reader that sleeps makes no fence for the writer', 'no fence by who sleeps', asleep, ['TSO']],
  ['resume wakes nobody', 'resume wakes nobody', { ...asleep, crash: true, records: [[1], []] }, ANYWHERE],
  [
    'a writer that sleeps for room makes no fence for the readers',
    'no fence by who sleeps',
    { ...wide, room: FUTEX },
    ['TSO'],
  ],
  [
    'who gives up a slot does not wake the writer',
    'who leaves wakes nobody',
    { ...wide, room: FUTEX, readers: [{ ...gating, leavesAfter: 1, publishEvery: 9 }] },
    ANYWHERE,
  ],
  [
    'who joins, and moves on in it, does not wake the writer',
    'who joins wakes nobody',
    { ...tight, room: FUTEX, readers: [late] },
    ANYWHERE,
  ],
  [
    'the room sequence is loaded after the look',
    'room sequence loaded last',
    { ...wide, room: FUTEX },
    ANYWHERE,
  ],
  [
    'who resumes takes what limit says for granted',
    'granted what limit says',
    { ...tight, crash: true, records: [[1, 1, 1], [1]], readers: [late] },
    ANYWHERE,
  ],
  [
    'who resumes lowers limit',
    'limit lowered on resume',
    { ...wide, step: 0, crash: true, records: [[2, 2, 2], [1]], readers: [observing] },
    ANYWHERE,
  ],
  ['the writer frees a slot without a look at its lock', 'lock not tested', handedOn, ANYWHERE],
  [
    'the writer looks at the lock, and then at the state that it frees',
    'lock tested before the state is loaded',
    handedOn,
    ANYWHERE,
  ],
  ['the writer frees a slot by a store', 'freed by a store', handedOn, ANYWHERE],
  ['the writer frees a slot of whatever generation', 'freed without the generation', handedOn, ANYWHERE],
  [
    'the writer evicts from a slot of whatever generation',
    'evicted without the generation',
    leftByEvictable,
    ANYWHERE,
  ],
  ['the writer takes the lock to free a slot', 'lock taken to free', handedOn, ANYWHERE],
  ['the writer frees nobody', 'nobody is freed', { ...handedOn, readers: [mayDie] }, ANYWHERE],
  [
    'the writer does not look whether who holds it back is GATING still',
    'states not looked at',
    { ...handedOn, deaths: 2, readers: [mayDie, { ...newcomer, dies: true }] },
    ANYWHERE,
  ],
  ['who takes a slot leaves its state as it was', 'taken as it was left', handedOn, ANYWHERE],
  [
    'who wants a slot fills it in before it has the lock',
    'filled in before the lock',
    { ...tight, readers: [holder, { ...evictable, ...newcomer }] },
    ANYWHERE,
  ],
  [
    'who takes a slot fills it in when it is registered',
    'filled in when registered',
    leftByEvictable,
    ANYWHERE,
  ],
  ['who gives up a slot unlocks it before it is free', 'unlocked before it is free', left, ANYWHERE],
  [
    'the slot of one that was evicted is given away',
    'slot of the evicted given away',
    { ...tight, readers: [{ ...evictable, slot: 0 }, newcomer] },
    ANYWHERE,
  ],
].map(asVariant);

/**
 * What could be left out as far as this goes. The tail that a writer left is at or above limit - capacity already. A sequence
 * that is not raised by who lets go, or by who frees or takes a dead one's slot, costs time only: a writer that is held back
 * looks at the states of who is in the way. And who is evicted asleep was woken by the first record that it did not read.
 */
export const HARMLESS = [
  [
    'who resumes does not publish the tail',
    'tail not published on resume',
    { ...wide, step: 0, crash: true, records: [[1, 1, 1, 1], [1]], readers: [observing] },
    [],
  ],
  [
    'one kind of sleepers: the flag is loaded and zeroed',
    'flag loaded and zeroed',
    { ...asleep, bufferSize: 3, readers: [futex, futex] },
    [],
    NOT_LOOKED_AT,
  ],
  [
    'who gives up a slot does not raise the sequence',
    'who leaves does not raise the sequence',
    { ...wide, readers: [{ ...gating, leavesAfter: 1 }] },
    [],
  ],
  ["who frees a dead reader's slot does not raise the sequence", 'freed slot not counted', handedOn, []],
  [
    "who takes a dead reader's slot does not raise the sequence",
    'the end of a hold not counted',
    handedOn,
    [],
  ],
  ['who evicts does not raise the sequence', 'eviction not counted', { ...tight, readers: [evictable] }, []],
  [
    'who evicts wakes nobody',
    'eviction wakes nobody',
    { ...tight, waking: true, readers: [{ ...evictable, sleeps: FUTEX }] },
    [],
  ],
].map(asVariant);

function batches() {
  return {
    ...wide,
    records: [
      [
        [1, 1],
        [1, 1],
      ],
    ],
  };
}

function asVariant([name, defect, scenario, foundOn, { notLookedAt = [], needsEveryOrder = false } = {}]) {
  return {
    name,
    foundOn,
    needsEveryOrder,
    models: ANYWHERE.filter((model) => !notLookedAt.includes(model)),
    // Nothing is left out: so the way that is told is the shortest, and no step counts as hidden that the fault lays open.
    as: (model) => ({ ...scenario, everyOrder: true, model, defects: new Set([defect]) }),
  };
}
