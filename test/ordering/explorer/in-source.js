/**
 * Where each step of the explorer's programs stands in the source. A test holds this against both: each row's `code` must stand
 * in its file, and where the row has the number of a step (`// step N`), beside that; and no numbered step of the library may
 * be missing here or under OUT_OF_SCOPE. So whoever changes an access or its place finds out what to model anew.
 *
 * `without` is the variant that shows what comes of it when the step is taken out (variants.js).
 */
export const MODELLED = [
  // The writer: a record, a batch, a PAD.
  row('appender.ts', 'this.bytes.set(data, at + this.frameHeader);', [
    'writer: second length',
    'writer: second body',
    'writer: body',
  ]),
  row('appender.ts', 'words[word + 1] = kind;', ['writer: body']),
  numbered(60, 'appender.ts', 'words[(next === this.#dataEnd ? this.#dataStart : next) >> 2] = 0;', {
    steps: ['writer: behind'],
    without: 'the next length word is not zeroed before the commit',
  }),
  numbered(1, 'appender.ts', 'storeRelease(this.#words, at >> 2, length);', {
    steps: ['writer: commit'],
    without: 'the length that commits is a plain store',
  }),
  numbered(2, 'appender.ts', 'if (this.#words[WAITERS] !== 0 || this.#fencesItself)', {
    steps: ['writer: wake: glance'],
    without: 'the writer looks for sleepers before it commits',
  }),
  numbered(62, 'appender.ts', 'else words[at >> 2] = length + frameHeader;', {
    steps: ['writer: inner length'],
    without: 'the first frame of a batch is committed first',
  }),
  numbered(7, 'appender.ts', 'storeRelease(this.#words, at >> 2, this.#firstLength);', {
    steps: ['writer: commit'],
    without: 'the first frame of a batch is committed first',
  }),
  numbered(8, 'appender.ts', 'if (this.#words[WAITERS] !== 0 || this.#fencesItself)', {
    steps: ['writer: wake: glance'],
    without: 'the writer looks for sleepers before it commits',
  }),
  row('appender.ts', 'words[word + 1] = L.KIND_PAD;', ['writer: pad body']),
  row('appender.ts', 'words[this.#dataStart >> 2] = 0;', ['writer: pad behind']),
  numbered(5, 'appender.ts', 'storeRelease(words, word, length);', {
    steps: ['writer: pad length'],
    without: 'no 0 is stored behind a PAD',
  }),
  numbered(6, 'appender.ts', 'this.#wrap();', {
    steps: ['writer: publish lap'],
    without: 'the tail is not published before limit, and a reader is overtaken',
  }),
  numbered(61, 'publisher.ts', 'releaseSplit(words, TAIL, this.high, stamp);', {
    steps: ['writer: publish', 'writer: publish lap'],
    without: 'the tail is published before the commit',
  }),

  // The writer: its slow path, and eviction.
  row('appender.ts', 'const granted = this.flow.grant(this.position, this.#stamp, want >> 4);', [
    'writer: publish',
  ]),
  row('flow.ts', 'const sequence = Atomics.load(words, REGISTRATION);', ['writer: load sequence']),
  row('flow.ts', 'if (slotState(Atomics.load(this.#words, at)) === L.SLOT_GATING)', ['writer: list']),
  row('flow.ts', 'Atomics.load(this.#words, gating[i] + SLOT_POSITION + 1)', ['writer: load position']),
  row('flow.ts', 'storeSplit(words, LIMIT, highOf(raised / 16), stampOf(raised));', ['writer: raise limit']),
  row('words.ts', 'Atomics.store(privateWord, 0, 0);', [
    'writer: wake: fence',
    'reader: room: fence',
    'reader: fence',
  ]),
  row('words.ts', 'Atomics.store(words, index + 1, low);', ['writer: raise limit', 'reader: join: position']),
  numbered(30, 'flow.ts', 'this.#raiseLimit(position + granted * 16);', {
    steps: ['writer: raise limit'],
    without: 'no fence between limit and the look at registrations',
  }),
  numbered(31, 'flow.ts', 'if (Atomics.load(words, REGISTRATION) === sequence) return granted;', {
    steps: ['writer: look at sequence again'],
    without: 'the registration sequence is not loaded again behind limit',
  }),
  row('flow.ts', 'if (standing.stoodMs < patience) return false;', ['writer: refused']),
  row('flow.ts', 'if (!changeSlot(this.#words, at, state, L.SLOT_EVICTED)) return false;', ['writer: evict']),
  numbered(32, 'flow.ts', 'Atomics.add(this.#words, REGISTRATION, 1);', {
    steps: ['writer: count eviction'],
    without: 'who evicts does not raise the sequence',
  }),
  row('flow.ts', 'const state = Atomics.load(this.#words, at);', ['writer: relieve: state']),
  row('flow.ts', 'if (slotState(state) !== L.SLOT_GATING) {', [
    'writer: wait for room',
    'writer: relieve: state',
  ]),
  row(
    'flow.ts',
    'if (freeDeadSlot(this.#channel, slot, state) || this.#evict(slot, state, place, sinceLastLook)) {',
    ['writer: relieve: lock', 'writer: relieve: patience'],
  ),
  row('flow.ts', 'const patience = Atomics.load(this.#words, at + EVICT_AFTER);', [
    'writer: relieve: patience',
  ]),
  row('table.ts', 'if (isLocked(channel, lockByteOf(slot))) return false;', ['writer: relieve: lock']),
  row('table.ts', 'return Atomics.compareExchange(words, at, from, nextState(from, state)) === from;', [
    'writer: relieve: free',
    'writer: evict',
    'reader: claim: state',
    'reader: join: state',
    'reader: leave: state',
  ]),
  row('table.ts', 'return (((stateWord >> STATE_BITS) + 1) << STATE_BITS) | state;', [
    'writer: relieve: free',
    'writer: evict',
    'reader: claim: state',
  ]),
  numbered(33, 'table.ts', 'changeSlot(channel.words, slotWord(channel, slot), stateWord, L.SLOT_FREE);', {
    steps: ['writer: relieve: free'],
    without: 'the writer frees a slot by a store',
  }),
  numbered(34, 'table.ts', 'if (freed) Atomics.add(channel.words, REGISTRATION, 1);', {
    steps: ['writer: relieve: count'],
    without: "who frees a dead reader's slot does not raise the sequence",
  }),

  // Waking, by a writer and by a reader.
  row('waking.ts', 'fence();', ['writer: wake: fence', 'reader: room: fence']),
  row('waking.ts', 'if (Atomics.load(channel.words, alarm.sleepers) !== 0)', [
    'writer: wake: look',
    'reader: room: look',
  ]),
  row('waking.ts', 'const kinds = Atomics.exchange(words, sleepers, 0);', [
    'writer: wake: take',
    'writer: resume: take',
    'reader: room: take',
  ]),
  numbered(90, 'waking.ts', 'Atomics.add(words, sequence, 1);', {
    steps: ['writer: wake: sequence', 'writer: resume: sequence', 'reader: room: bump'],
    without: 'who wakes does not raise the sequence',
  }),
  numbered(91, 'waking.ts', 'binding().wake(file, sequence << 2, kinds | atLeast);', {
    steps: ['writer: wake: futex', 'writer: wake: bell', 'writer: resume: wake', 'reader: room: wake'],
    without: 'who raises the sequence wakes nobody',
  }),

  // Sleeping, likewise.
  row('sleeper.ts', 'const before = this.wakes();', ['reader: park: sequence', 'writer: room: sequence']),
  row('sleeper.ts', 'this.#listener ??= Listener.of(this.#channel);', ['reader: park: listen']),
  row('sleeper.ts', 'const now = this.wakes();', ['reader: park: arm', 'writer: room: arm']),
  row('sleeper.ts', 'if (stands && (Atomics.load(words, sleepers) & kind) !== 0) return true;', [
    'reader: park: does it stand',
    'writer: room: does it stand',
  ]),
  numbered(93, 'sleeper.ts', 'Atomics.or(words, sleepers, kind);', {
    steps: ['reader: park: flag', 'writer: room: flag'],
    without: 'a thread sleeps without another look',
  }),
  numbered(94, 'sleeper.ts', 'if (!binding().fenceOthers()) return false;', {
    steps: ['reader: park: fence others', 'writer: room: fence others'],
    without: 'a reader that sleeps makes no fence for the writer',
  }),
  row('wake.cc', 'return Membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);', [
    'reader: park: fence others',
    'writer: room: fence others',
  ]),
  numbered(95, 'sleeper.ts', 'if (look()) return true;', {
    steps: ['reader: park: look', 'reader: park: guard'],
    without: 'a thread sleeps without another look',
  }),
  row('sleeper.ts', 'binding().sleepOn(file, sequence << 2, before,', [
    'reader: park: sleep',
    'reader: asleep',
    'writer: room: sleep',
    'writer: room: asleep',
  ]),
  row('arrival.ts', 'this.#cursor.hasNext()', ['reader: look again', 'reader: park: look']),

  // The reader.
  row('cursor.ts', 'this.#tail = loadAcquire(this.#shared, TAIL_LOW);', ['reader: tail']),
  row('cursor.ts', 'const length = loadAcquire(this.#shared, word);', ['reader: length']),
  row('cursor.ts', 'const length = this.#words[word];', ['reader: frame length']),
  row('cursor.ts', 'this.#words[(this.#at >> 2) + 2] === this.#stamp', ['reader: frame body']),
  row('cursor.ts', 'handler(this.#bytes, at + this.#frameHeader, at + length, kind >>> 16);', [
    'reader: frame payload',
  ]),
  row('cursor.ts', 'scratch[word] = shared[source + word];', ['reader: copy']),
  row('guard.ts', 'fence();', ['reader: fence']),
  row('guard.ts', 'if (loadPosition(words, LIMIT) - from <= header.capacity) return false;', [
    'reader: check',
  ]),
  row('guard.ts', 'if (!isEvicted(this.#channel, this.#slot)) return false;', ['reader: check']),
  numbered(23, 'cursor.ts', 'releaseSplit(this.#shared, this.#slotPosition, this.#high, this.#stamp);', {
    steps: ['reader: publish', 'reader: publish and wait'],
    without: 'the position of a reader is a plain store',
  }),
  row('cursor.ts', 'if (this.#shared[ROOM_WANTED] !== 0 || this.#fencesItself)', ['reader: room: glance']),
  row('seek.ts', 'const limit = loadPosition(words, LIMIT);', ['reader: land: limit']),
  row('seek.ts', 'const tail = loadPosition(words, isCutOff(this.#channel) ? DURABLE : TAIL);', [
    'reader: land: tail',
  ]),
  row('seek.ts', 'const marked = this.#marks.oldestAtOrAbove(least, tail);', ['reader: land: mark']),
  row('table.ts', 'if (binding().lockByte(channel.file, lockByteOf(slot))) return slot;', [
    'reader: claim: lock',
    'reader: dies',
  ]),
  numbered(24, 'table.ts', 'takeSlot(channel, slotWord(channel, slot), name, evictAfterMs);', {
    steps: ['reader: claim: state'],
    without: 'who takes a slot leaves its state as it was',
  }),
  row('table.ts', 'while (!changeSlot(words, at, state, L.SLOT_CLAIMING)) state = Atomics.load(words, at);', [
    'reader: claim: state',
  ]),
  numbered(25, 'table.ts', 'Atomics.add(words, REGISTRATION, 1);', {
    steps: ['reader: claim: count'],
    without: "who takes a dead reader's slot does not raise the sequence",
  }),
  row('table.ts', 'words[at + (L.SLOT_EVICT_AFTER_OFFSET >> 2)] = evictAfterMs;', [
    'reader: claim: patience',
  ]),
  row('registration.ts', 'storePosition(words, at + SLOT_POSITION, place);', [
    'reader: join: position',
    'reader: join: moved',
  ]),
  row('registration.ts', 'changeSlot(words, at, state, L.SLOT_GATING);', ['reader: join: state']),
  numbered(20, 'registration.ts', 'Atomics.add(words, REGISTRATION, 1);', {
    steps: ['reader: join: sequence'],
    without: 'no fence between registration and the look at limit',
  }),
  numbered(21, 'registration.ts', 'while (loadPosition(words, LIMIT) - place > header.capacity) {', {
    steps: ['reader: join: limit'],
    without: 'who registers does not look at limit',
  }),
  numbered(22, 'registration.ts', 'wakeSleepers(channel, ROOM);', {
    steps: ['reader: room: fence'],
    without: 'who joins, and moves on in it, does not wake the writer',
  }),
  row('table.ts', 'while (!changeSlot(channel.words, at, state, L.SLOT_FREE))', ['reader: leave: state']),
  numbered(27, 'table.ts', 'Atomics.add(channel.words, REGISTRATION, 1);', {
    steps: ['reader: leave: sequence'],
    without: 'who gives up a slot does not raise the sequence',
  }),
  numbered(28, 'table.ts', 'wakeSleepers(channel, ROOM);', {
    steps: ['reader: room: look'],
    without: 'who gives up a slot does not wake the writer',
  }),
  row('table.ts', 'binding().unlockByte(channel.file, lockByteOf(slot));', ['reader: leave: unlock']),

  // Who resumes.
  row('recovery.ts', 'if (binding().lockByte(channel.file, WRITER_LOCK_BYTE)) return;', ['writer: resume']),
  row('recovery.ts', 'const tail = loadPosition(words, TAIL);', ['writer: resume: tail']),
  row('recovery.ts', 'const limit = loadPosition(words, LIMIT);', ['writer: resume: limit']),
  row('damage.ts', 'const length = words[word];', ['writer: resume: length']),
  row('damage.ts', 'words[word + 2] === stampOf(position)', ['writer: resume: body']),
  numbered(42, 'recovery.ts', 'storePosition(channel.words, TAIL, position);', {
    steps: ['writer: resume: publish'],
    without: 'who resumes does not publish the tail',
  }),
  numbered(43, 'recovery.ts', 'wakeEveryone(channel, ARRIVAL);', {
    steps: ['writer: resume: take'],
    without: 'resume wakes nobody',
  }),
];

const ENDING =
  'the end of a stream: its frame is stored as a record is, and all of it has its kills at each of these steps';
const CREATING = 'creation: the file has no name yet, nobody else sees it';
const MARKS =
  'a mark is a sequence lock with a checksum of its own: here a mark stands for a frame, or none is there';
const DISK =
  'linear channels on a disk: nothing there is overwritten or reordered, but lost; simulated power cuts';
const TORN = 'a split word is one word here: that one is read torn has tests of its own';

/** Numbered steps that the explorer leaves out, and why. */
export const OUT_OF_SCOPE = new Map([
  ...leftOut(
    'publisher.ts',
    [3],
    'the record count is what lags are told by, and a fallback where no mark stands',
  ),
  ...leftOut('publisher.ts', [4], "a callback in the writer's own thread"),
  ...leftOut('appender.ts', [9, 10], ENDING),
  ...leftOut('recovery.ts', [11, 12, 13], ENDING),
  ...leftOut('recovery.ts', [44], 'all is done: nothing follows that others see'),
  ...leftOut(
    'appender.ts',
    [63],
    'a claim: what it reserves is in private fields; its commit is that of a record',
  ),
  ...leftOut(
    'table.ts',
    [26],
    'all of the slot is filled in: what others look at is stored by the next steps',
  ),
  ...leftOut('resume.ts', [40, 41, 45], 'lock, signature and mapping: no word of the protocol is stored'),
  ...leftOut('create.ts', [50, 51, 52, 53, 54, 55, 56, 57], CREATING),
  ...leftOut('marks.ts', [64, 65, 66], MARKS),
  ...leftOut('words.ts', [70, 71], TORN),
  ...leftOut('flusher.ts', [80, 81], DISK),
  ...leftOut('healing.ts', [82, 83, 84], DISK),
  ...leftOut('waking.ts', [92], 'a counter for those who watch'),
]);

function row(file, code, steps) {
  return { file, code, steps, number: undefined, without: undefined };
}

function numbered(number, file, code, { steps, without }) {
  return { file, code, steps, number, without };
}

function leftOut(file, numbers, why) {
  return numbers.map((number) => [number, { file, why }]);
}
