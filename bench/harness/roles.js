import { BATCH, END, nextNumber, nowNs, runTurns, Source, Tally } from './participant.js';

const RECORDS_BETWEEN_CLOCKS = 256;
const TRIPS_BETWEEN_CLOCKS = 64;

// Each loop that may spin stands in a function of its own: V8 replaces a spinning loop while it runs, and what
// follows it in the same function, never run before, would throw the new code away again.

/** Returns how often `write` refused. */
function writeOrWait(write, what) {
  let refusals = 0;
  while (!write(what)) refusals++;
  return refusals;
}

function awaitRecord(poll, tally) {
  while (poll(tally) === 0) {}
}

/** Until the time is up, or so many are written; `writeOne` ends it. */
function writeTurn(writeSome, writeOne, source, deadlineNs, most) {
  let records = 0;
  let refusals = 0;
  do {
    const count = Math.min(RECORDS_BETWEEN_CLOCKS, most - records);
    refusals += writeSome(count);
    records += count;
  } while (records < most && nowNs() < deadlineNs);
  source.number(END);
  refusals += writeOrWait(writeOne, source);
  return sent(records, source, refusals);
}

/** Writes one by one: `write(source)` puts it into the channel, or returns false where there is no room yet. */
export function writeTurns(size, write) {
  const source = new Source(size);
  let number = 0;
  function writeSome(count) {
    let refusals = 0;
    for (let i = 0; i < count; i++) {
      source.number(number);
      number = nextNumber(number);
      refusals += writeOrWait(write, source);
    }
    return refusals;
  }
  runTurns((deadlineNs, most) => writeTurn(writeSome, write, source, deadlineNs, most));
}

/**
 * Writes BATCH records at once: `write(sources)` takes all or none; `writeOne(source)` ends the turn. A turn of so
 * many records is one of whole batches.
 */
export function writeBatchTurns(size, write, writeOne) {
  const sources = Array.from({ length: BATCH }, () => new Source(size));
  let number = 0;
  function writeSome(count) {
    let refusals = 0;
    for (let left = count; left > 0; left -= BATCH) {
      for (let i = 0; i < BATCH; i++) {
        sources[i].number(number);
        number = nextNumber(number);
      }
      refusals += writeOrWait(write, sources);
    }
    return refusals;
  }
  runTurns((deadlineNs, most) => writeTurn(writeSome, writeOne, sources[0], deadlineNs, most));
}

/** Reads until END: `poll(tally)` hands each record to the tally. */
export function readTurns(poll) {
  const tally = new Tally();
  runTurns(() => {
    tally.begin();
    while (!tally.ended) poll(tally);
    return received(tally);
  });
}

/** Writes one, waits for its echo. `poll` returns how many records it handed to the tally. */
export function pingTurns(size, write, poll) {
  const source = new Source(size);
  const tally = new Tally();
  let number = 0;
  function trip() {
    source.number(number);
    number = nextNumber(number);
    writeOrWait(write, source);
    awaitRecord(poll, tally);
  }
  runTurns((deadlineNs) => {
    tally.begin();
    let endNs;
    do {
      for (let i = 0; i < TRIPS_BETWEEN_CLOCKS; i++) trip();
      endNs = nowNs();
    } while (endNs < deadlineNs);
    source.number(END);
    writeOrWait(write, source);
    return { ...received(tally), endNs };
  });
}

/** Answers each record with one of the same number, from a source of its own: call `answer` in the handler. */
export class Echo extends Tally {
  #source;
  #write;

  constructor(size, write) {
    super();
    this.#source = new Source(size);
    this.#write = write;
  }

  take(number, lastByte) {
    super.take(number, lastByte);
    if (this.ended) return;
    this.#source.number(number);
    writeOrWait(this.#write, this.#source);
  }
}

export function pongTurns(size, write, poll) {
  const echo = new Echo(size, write);
  runTurns(() => {
    echo.begin();
    while (!echo.ended) poll(echo);
    return received(echo);
  });
}

function sent(records, source, refusals) {
  return { records, sum: records * source.bytes.at(-1), gaps: 0, refusals };
}

function received({ records, sum, gaps }) {
  return { records, sum, gaps };
}
