/** What came of it: every number was counted by the process it is about. */
import { count } from './screen.js';
import { FRAME_BYTES } from './shared.js';

/** @typedef {import('./screen.js').Line} Line */
/** @typedef {{ name: string, told: Record<string, any>, killedAt?: number, again?: number }} Reading */
/** @typedef {{ read: number, next: number, gaps: number, duplicates: number, torn: number, at: number }} Counted */

/**
 * @param {{
 *   writer: Record<string, any>,
 *   readers: Reading[],
 *   trips: Record<string, any>,
 *   left: string | undefined,
 * }} result
 * @param {number} seconds
 */
export function summarize({ writer, readers, trips, left }, seconds) {
  const written = writer.written;
  const sum = (/** @type {keyof Counted} */ what) =>
    readers.reduce((total, { told }) => total + told[what], 0);
  // A record that is missing at the end is lost like one that is missing between two others.
  const lost = sum('gaps') + readers.reduce((total, { told }) => total + (written - told.next), 0);
  const wrong = { lost, 'read twice': sum('duplicates'), damaged: sum('torn') };
  const complete = readers.every(({ told }) => told.read === written);
  const measured = trips.trips > 0;
  const sound =
    complete && measured && left === undefined && Object.values(wrong).every((amount) => amount === 0);

  const ended = Math.max(...readers.map(({ told }) => told.at));
  const [, steady, flatOut] = writer.paces;
  const steadily = perSecond(steady, flatOut);
  const atMost = perSecond(flatOut, { written, at: ended });
  /** @type {Line[]} */
  const lines = [
    [],
    fact('written', `${count(written)} records, ${megabytes(written)} MB, in ${seconds.toFixed(1)} s`),
    ...readers.flatMap(readBy(written)),
    fact('', verdict(wrong), sound),
    fact(
      'rate',
      `${count(steadily)} records/s steadily, ${count(atMost)} flat out (${megabytes(atMost)} MB/s)`,
    ),
    fact('', `from the writer through both readers, which held it back ${count(writer.refusals)} times`),
    fact('hop', measured ? hop(trips) : 'was not measured', measured),
    fact('left', left === undefined ? 'nothing: no process, no file' : left, left === undefined),
    [],
  ];
  return { lines, sound };
}

/**
 * @param {string} name
 * @param {string} text
 * @param {boolean} [good] whether to say so in colour
 * @returns {Line}
 */
function fact(name, text, good) {
  const head = `  ${name.padEnd(9)}`;
  return [['bold', head], good === undefined ? text : [good ? 'green' : 'red', text]];
}

/** @typedef {{ written: number, at: number }} Moment */

/** @param {Moment} from @param {Moment} to */
function perSecond(from, to) {
  return ((to.written - from.written) * 1000) / (to.at - from.at);
}

/** @param {number} written */
function readBy(written) {
  return (/** @type {Reading} */ { name, told, killedAt, again }) => {
    const line = fact(name, `${count(told.read)} records read`, told.read === written);
    if (killedAt === undefined) return [line];
    line.push(`; killed after its report at ${count(killedAt)}, and resumed there`);
    return [line, fact('', `(${count(again ?? 0)} that it had read but not reported were read again)`)];
  };
}

/** @param {Record<string, number>} wrong */
function verdict(wrong) {
  return Object.entries(wrong)
    .map(([what, amount]) => `${what}: ${count(amount)}`)
    .join('   ');
}

/** @param {number} records */
function megabytes(records) {
  return count((records * FRAME_BYTES) / 1e6);
}

/** @param {Record<string, any>} trips */
function hop({ trips, p50, p99 }) {
  const us = (/** @type {number} */ ns) => `${(ns / 1000).toFixed(ns < 10_000 ? 2 : 0)} µs`;
  return `p50 ${us(p50 / 2)}, p99 ${us(p99 / 2)}: half of each of ${count(trips)} round trips`;
}
