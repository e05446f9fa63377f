/** The picture of the running demo: who is how fast and how far, and who is behind by how much. */
import { inspect } from 'millrace';
import { bar, columns, count } from './screen.js';
import { FRAME_BYTES } from './shared.js';

/** @typedef {import('./screen.js').Line} Line */
/** @typedef {import('./screen.js').Style} Style */
/** @typedef {{ name: string, note?: string, progress: () => number, position?: () => number }} Party */

/** Rates are over about so long: long enough to be read, short enough to see a stall. */
const WINDOW_MS = 600;

/** How fast something grows. */
class Speed {
  /** @type {{ at: number, value: number }[]} */
  #samples = [];

  /** @param {number} value */
  perSecond(value) {
    const at = performance.now();
    this.#samples.push({ at, value });
    while (this.#samples.length > 2 && at - this.#samples[1].at > WINDOW_MS) this.#samples.shift();
    const [first] = this.#samples;
    return at > first.at ? Math.max(0, ((value - first.value) * 1000) / (at - first.at)) : 0;
  }
}

export class View {
  #began = performance.now();
  /** @type {Map<string, Speed>} */
  #speeds = new Map();
  #path;
  #capacity;
  #writer;
  #readers;

  /**
   * @param {string} path
   * @param {number} capacity
   * @param {Party} writer
   * @param {Party[]} readers
   */
  constructor(path, capacity, writer, readers) {
    this.#path = path;
    this.#capacity = capacity;
    this.#writer = writer;
    this.#readers = readers;
    for (const party of [writer, ...readers]) this.#rate(party);
  }

  get seconds() {
    return (performance.now() - this.#began) / 1000;
  }

  /** @param {Party} party */
  #rate({ name, progress }) {
    let speed = this.#speeds.get(name);
    if (speed === undefined) {
      speed = new Speed();
      this.#speeds.set(name, speed);
    }
    return speed.perSecond(progress());
  }

  /**
   * How far each reader is behind, in bytes of the stream. The channel itself tells: its reader table can be looked
   * at from any process. Of a reader that is gone, what it had reported last.
   */
  #lags() {
    const { tail, readers } = inspect(this.#path);
    return this.#readers.map(({ name, position }) => {
      const seen = readers.find(
        (reader) => reader.name === name && reader.alive && reader.state === 'gating',
      );
      return seen?.lagBytes ?? Math.max(0, tail - (position?.() ?? tail));
    });
  }

  /** @returns {Line[]} */
  picture() {
    const lags = this.#lags();
    const shown = columnsFor(columns());
    const readers = this.#readers.map((reader, i) =>
      row(reader, this.#rate(reader), shown, {
        records: lags[i] / FRAME_BYTES,
        share: lags[i] / this.#capacity,
      }),
    );
    return [[], head(shown), row(this.#writer, this.#rate(this.#writer), shown), ...readers];
  }

  /** @returns {Line} */
  line() {
    const lags = this.#lags();
    const readers = this.#readers.map(
      (reader, i) =>
        `${reader.name} ${reader.note ?? `${count(this.#rate(reader))}/s`}, behind ${count(lags[i] / FRAME_BYTES)}`,
    );
    return [
      `${this.seconds.toFixed(1).padStart(5)} s  writer ${count(this.#rate(this.#writer))}/s  ${readers.join('  ')}`,
    ];
  }
}

/** @typedef {{ megabytes: boolean, total: boolean, bar: number }} Shown */

/** What there is room for. @param {number} width @returns {Shown} */
function columnsFor(width) {
  return { megabytes: width >= 72, total: width >= 50, bar: Math.max(0, Math.min(24, width - 60)) };
}

/** @param {Shown} shown @returns {Line} */
function head({ megabytes, total, bar }) {
  const titles = [
    ''.padEnd(10),
    'records/s'.padStart(12),
    megabytes ? 'MB/s'.padStart(8) : '',
    total ? 'records'.padStart(14) : '',
    'behind'.padStart(12),
    bar > 12 ? '  of the ring' : '',
  ];
  return [['dim', titles.join('')]];
}

/**
 * @param {Party} party
 * @param {number} rate
 * @param {Shown} shown
 * @param {{ records: number, share: number }} [behind]
 * @returns {Line}
 */
function row(party, rate, shown, behind) {
  /** @type {Line} */
  const line = ['  ', ['bold', party.name.padEnd(8)]];
  if (party.note !== undefined) {
    line.push(['red', party.note.padStart(shown.megabytes ? 20 : 12)]);
  } else {
    line.push(count(rate).padStart(12));
    if (shown.megabytes) line.push(((rate * FRAME_BYTES) / 1e6).toFixed(1).padStart(8));
  }
  if (shown.total) line.push(count(party.progress()).padStart(14));
  if (behind === undefined) return line;
  const filled = bar(behind.share, shown.bar);
  /** @type {Style} */
  const style = behind.share > 0.5 ? 'yellow' : 'cyan';
  line.push(count(behind.records).padStart(12), '  ', [style, filled]);
  line.push(['dim', '·'.repeat(shown.bar - filled.length)]);
  return line;
}
