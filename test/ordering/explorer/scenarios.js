import { BELL, FUTEX } from './words.js';

/**
 * Of each scenario all states are looked at: four records, in one or two lives of the writer, on a ring so small that it
 * goes round, and two readers; where `before` says so, the first of the records are there already. `quick` is what a test has
 * time for. `weak` is what can be looked at whole on a weakly ordered machine; there it is also walked at random as it is.
 * `meets` are steps that it is there for: without them it would have missed what it is named after.
 *
 *   units    size of the ring            records    their lengths, one list for each life; [1, 1] in it is a batch
 *   step     of the grants               crash      the writer may die at any step of its first life
 *   waking   commits wake sleepers       room       how the writer sleeps that has no room; without, it looks again and again
 *   publishes   the tail is published behind each record, not only before limit is raised
 *   deaths   so many of the readers that may die do; in a slot that several want, who comes waits until it can be had
 *   bufferSize   so many stores of a thread may wait to be seen: on x64 5, if nothing is said
 */
const gating = { kind: 'gating' };
const late = { kind: 'gating', late: true };
const evictable = { kind: 'gating', evictable: true };
const observing = { kind: 'observing' };
const onFutex = { sleeps: FUTEX };
const onBell = { sleeps: BELL };

/** The same, but that it begins when so many of the records, of one unit each, are written and read. */
function behind(before, { readers }) {
  return { before, readers: readers.map((reader) => ({ ...reader, from: before })) };
}

/** The same; the writer may die in the last record, and a new one wakes who sleeps. */
function dyingAtTheLast(full) {
  return { ...behind(3, full), records: [[1, 1, 1, 1], []] };
}

const aThreadAndAnEventLoop = [
  { ...gating, ...onFutex },
  { ...gating, ...onBell },
];
const twoThreads = [
  { ...gating, ...onFutex },
  { ...gating, ...onFutex },
];
const sleepyLosers = [
  { ...observing, ...onFutex },
  { ...evictable, ...onBell },
];
const sleepyLosersElseways = [
  { ...observing, ...onBell },
  { ...evictable, ...onFutex },
];
/** Who sleeps makes the others' stores matter one by one: with more of them in a buffer there is no end to it. */
const asleep = { waking: true, bufferSize: 3 };
/** Of one slot: who has it, and who comes for it. */
const holder = { ...gating, slot: 0 };
const evictableHolder = { ...evictable, slot: 0 };
const newcomer = { ...holder, comes: true };
const evictableNewcomer = { ...evictableHolder, comes: true };
const dies = { dies: true };
const diesAndComesBack = { dies: true, comesBack: true };
const twoLives = { crash: true, records: [[1, 1, 1], [1]] };

export const SCENARIOS = [
  {
    name: 'two hold the writer back, one of them from some time on',
    full: { units: 4, step: 1, records: [[2, 1, 2, 1]], readers: [gating, late] },
    quick: { before: 1 },
    weak: { units: 3, step: 0, records: [[1, 1, 1, 1]], before: 2, windowSize: 2, bufferSize: 3 },
    meets: ['writer: pad length', 'reader: frame payload', 'reader: join: limit', 'reader: join: moved'],
  },
  {
    name: 'one holds it back, one is overtaken',
    full: { units: 4, step: 1, publishes: true, records: [[2, 1, 2, 1]], readers: [gating, observing] },
    quick: { before: 1 },
    weak: { units: 3, step: 0, records: [[1, 1, 1, 1]], before: 2, windowSize: 2, bufferSize: 3 },
    meets: ['writer: pad length', 'reader: copy', 'reader: land: mark'],
  },
  {
    name: 'two may be evicted',
    full: { units: 4, step: 1, records: [[1, 2, 1, 2]], readers: [evictable, evictable] },
    quick: { before: 1, records: [[1, 2, 1]] },
    weak: { readers: [evictable] },
    meets: ['writer: count eviction', 'reader: copy'],
  },
  {
    name: 'one is evicted and comes back, one comes late',
    full: { units: 3, step: 0, records: [[1, 1, 1, 1]], readers: [{ ...evictable, rejoins: 1 }, late] },
    quick: { before: 3, readers: [{ ...evictable, rejoins: 1, from: 1 }, late] },
    weak: { before: 2, readers: [{ ...evictable, rejoins: 1 }] },
    meets: ['writer: count eviction', 'reader: join: moved', 'reader: land: mark'],
  },
  {
    name: 'two are overtaken',
    full: { units: 3, step: 0, records: [[1, 1, 1, 1]], readers: [observing, observing] },
    quick: { before: 2 },
    weak: { readers: [observing] },
    meets: ['reader: land: mark', 'reader: look again'],
  },
  {
    name: 'a batch, and the writer dies',
    full: { units: 4, step: 0, crash: true, records: [[[1, 1], [2]], [1]], readers: [gating, observing] },
    weak: { readers: [gating] },
    meets: ['writer: inner length', 'writer: resume: body', 'writer: resume: publish'],
  },
  {
    name: 'one comes late, and the writer dies',
    full: {
      ...{ units: 4, step: 1, crash: true, readers: [gating, late] },
      records: [
        [1, 2],
        [1, 2],
      ],
    },
    quick: { before: 1 },
    weak: { readers: [late] },
    meets: ['writer: resume: publish', 'reader: join: moved'],
  },
  {
    name: 'one observes, one may be evicted, and the writer dies',
    full: { units: 3, step: 0, ...twoLives, readers: [observing, evictable] },
    quick: { before: 2 },
    weak: { readers: [observing] },
    meets: ['writer: count eviction', 'writer: resume: publish', 'reader: land: mark'],
  },
  {
    name: 'two sleep, a thread and an event loop, and the last of the records are a batch',
    full: { units: 8, step: 6, ...asleep, records: [[1, 1, [1, 1]]], readers: aThreadAndAnEventLoop },
    quick: behind(2, { readers: aThreadAndAnEventLoop }),
    weak: { records: [[1, 1, 1]], windowSize: 2 },
    meets: ['reader: asleep', 'writer: wake: futex', 'writer: wake: bell', 'writer: inner length'],
  },
  {
    name: 'two threads sleep, and the writer dies',
    full: { units: 4, step: 2, ...asleep, ...twoLives, readers: twoThreads },
    quick: dyingAtTheLast({ readers: twoThreads }),
    weak: { readers: [twoThreads[0]], bufferSize: 4 },
    meets: ['reader: asleep', 'reader: park: fence others', 'writer: wake: futex', 'writer: resume: wake'],
  },
  {
    name: 'a thread and an event loop sleep, and the writer dies',
    full: { units: 4, step: 2, ...asleep, ...twoLives, readers: aThreadAndAnEventLoop },
    quick: dyingAtTheLast({ readers: aThreadAndAnEventLoop }),
    weak: { readers: [aThreadAndAnEventLoop[1]], bufferSize: 4 },
    meets: ['reader: asleep', 'reader: park: listen', 'writer: wake: bell', 'writer: resume: wake'],
  },
  {
    name: 'one that observes and one that may be evicted sleep',
    full: {
      ...{ units: 3, step: 0, ...asleep, records: [[1, 1, 1, 1]] },
      ...behind(1, { readers: sleepyLosers }),
    },
    quick: behind(3, { readers: sleepyLosers }),
    weak: { readers: [sleepyLosers[0]], bufferSize: 4 },
    meets: ['reader: asleep', 'reader: park: guard', 'writer: wake: bell'],
  },
  {
    name: 'one that observes and one that may be evicted sleep, and the writer dies',
    full: { units: 3, step: 0, ...asleep, ...twoLives, ...behind(1, { readers: sleepyLosersElseways }) },
    quick: dyingAtTheLast({ readers: sleepyLosersElseways }),
    weak: { readers: [sleepyLosersElseways[1]], before: 2, bufferSize: 4 },
    meets: ['reader: asleep', 'reader: park: guard', 'writer: resume: wake'],
  },
  {
    name: 'all three sleep, the writer for room',
    full: {
      ...{ units: 3, step: 0, ...asleep, room: FUTEX, records: [[1, 1, 1, 1]] },
      ...behind(1, { readers: aThreadAndAnEventLoop }),
    },
    quick: {
      before: 3,
      readers: [
        { ...gating, ...onFutex, from: 1 },
        { ...gating, ...onBell, from: 3 },
      ],
    },
    weak: { readers: [aThreadAndAnEventLoop[0]], before: 2, bufferSize: 4 },
    meets: ['reader: asleep', 'writer: wake: bell', 'reader: room: fence'],
  },
  {
    name: 'the writer sleeps for room in its event loop, and one reader leaves',
    full: {
      ...{ units: 3, step: 0, room: BELL, records: [[1, 1, 1, 1]] },
      readers: [
        { ...gating, publishEvery: 9 },
        { ...gating, leavesAfter: 1 },
      ],
    },
    quick: { before: 1 },
    weak: { readers: [{ ...gating, leavesAfter: 2 }] },
    meets: [
      'reader: publish and wait',
      'reader: leave: sequence',
      'reader: room: wake',
      'writer: room: sleep',
    ],
  },
  {
    name: 'one dies, and two want its slot',
    full: {
      ...{ units: 4, step: 1, deaths: 2, records: [[1, 2, 1, 2]] },
      readers: [{ ...holder, ...diesAndComesBack }, { ...newcomer, ...dies }, evictableNewcomer],
    },
    quick: { deaths: 1 },
    weak: { units: 3, step: 0, records: [[1, 1, 1]], readers: [{ ...holder, ...dies }, newcomer] },
    meets: ['writer: relieve: count', 'reader: dies', 'reader: claim: count'],
  },
  {
    name: 'one is evicted, leaves or dies, and others take its slot',
    full: {
      ...{ units: 3, step: 0, deaths: 2, records: [[1, 1, 1, 1]] },
      readers: [
        { ...evictableHolder, ...diesAndComesBack, rejoins: 1, leavesAfter: 3 },
        { ...newcomer, ...dies, leavesAfter: 2 },
        evictableNewcomer,
      ],
    },
    quick: {
      ...{ deaths: 1, records: [[1, 1, 1]] },
      readers: [
        { ...evictableHolder, ...diesAndComesBack, rejoins: 1, leavesAfter: 2 },
        { ...newcomer, leavesAfter: 2 },
      ],
    },
    weak: {
      readers: [{ ...evictableHolder, ...dies, rejoins: 1, leavesAfter: 2 }, newcomer],
    },
    meets: [
      'writer: count eviction',
      'writer: relieve: count',
      'reader: leave: unlock',
      'reader: claim: count',
    ],
  },
  {
    name: 'a slot changes hands beside one that holds the writer back, and the writer dies',
    full: {
      ...{ units: 3, step: 0, deaths: 1, ...twoLives },
      readers: [
        { ...evictableHolder, ...diesAndComesBack, rejoins: 1, leavesAfter: 2 },
        { ...newcomer, leavesAfter: 1 },
        { ...gating, slot: 1 },
      ],
    },
    quick: {
      readers: [
        { ...evictableHolder, ...dies, rejoins: 1, leavesAfter: 2 },
        { ...newcomer, leavesAfter: 1 },
      ],
    },
    weak: { before: 1, readers: [{ ...evictableHolder, ...dies, from: 1 }, newcomer] },
    meets: ['writer: relieve: count', 'writer: resume: publish', 'reader: dies', 'reader: leave: unlock'],
  },
];

const SOUND = new Set();
/** So few stores may wait to be seen in the smaller forms, if they say nothing else. */
const QUICK_BUFFER = 2;
const WEAK_BUFFER = 3;

export function asIt(form, scenario, model) {
  const { full, quick, weak } = scenario;
  return {
    ...full,
    ...(form === 'full' ? {} : { bufferSize: QUICK_BUFFER, ...quick }),
    ...(form === 'weak' ? { bufferSize: WEAK_BUFFER, ...weak } : {}),
    model,
    defects: SOUND,
  };
}
