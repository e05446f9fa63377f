/** What the demo shows: on a terminal a picture that is drawn again in place, with a story above it; else plain lines. */

const out = process.stdout;
const onTerminal = out.isTTY === true && process.env.TERM !== 'dumb';
// https://no-color.org: present and not empty.
const inColour = onTerminal && !process.env.NO_COLOR;

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** @typedef {keyof typeof STYLES} Style */
/** A line is pieces of text, plain or in a style; so that it can be cut to a width. @typedef {(string | [Style, string])[]} Line */

const DRAW_EVERY_MS = 100;
const PRINT_EVERY_MS = 1000;

export class Screen {
  #drawn = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {() => Line[]} */
  #picture = () => [];

  /**
   * Shows this again and again, until `stop`.
   * @param {() => Line[]} picture for a terminal
   * @param {() => Line} line for everything else
   */
  start(picture, line) {
    this.#picture = picture;
    if (!onTerminal) {
      this.#timer = setInterval(() => this.print(line()), PRINT_EVERY_MS);
      return;
    }
    out.write('\x1b[?25l');
    process.on('exit', showCursor);
    this.#timer = setInterval(() => this.#draw(), DRAW_EVERY_MS);
    this.#draw();
  }

  stop() {
    clearInterval(this.#timer);
    if (!onTerminal) return;
    this.#erase();
    this.#picture = () => [];
    showCursor();
    process.off('exit', showCursor);
  }

  /** A line that stays. @param {Line} line */
  print(line) {
    this.#erase();
    out.write(`${render(line, Number.POSITIVE_INFINITY)}\n`);
    this.#draw();
  }

  #draw() {
    if (!onTerminal) return;
    const lines = this.#picture();
    // In one write, so that no half picture is ever seen.
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '';
    out.write(`${up}${lines.map((line) => `\r${render(line, columns() - 1)}\x1b[K\n`).join('')}\x1b[J`);
    this.#drawn = lines.length;
  }

  #erase() {
    if (this.#drawn > 0) out.write(`\x1b[${this.#drawn}A\r\x1b[J`);
    this.#drawn = 0;
  }
}

function showCursor() {
  out.write('\x1b[?25h');
}

export function columns() {
  return onTerminal ? (out.columns ?? 80) : 100;
}

/**
 * A line of the picture is cut to the width: one that wraps would spoil the next picture.
 * @param {Line} line
 * @param {number} width
 */
function render(line, width) {
  let left = width;
  let text = '';
  for (const piece of line) {
    const [style, whole] = typeof piece === 'string' ? [undefined, piece] : piece;
    const part = whole.slice(0, left);
    left -= part.length;
    text += style !== undefined && inColour ? `\x1b[${STYLES[style]}m${part}\x1b[0m` : part;
  }
  return text.trimEnd();
}

/** @param {number} value */
export function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** @param {number} share 0 to 1 @param {number} width */
export function bar(share, width) {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8];
}
