import { invalidArgument, type MillraceError } from './errors.js';

/** A number of bytes, or a string such as '64KiB', '8MiB', '1GiB'. */
export type Size = number | string;

const UNITS: Record<string, number> = { B: 1, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

export function parseSize(name: string, size: Size): number {
  if (typeof size === 'number') return wholeNumber(name, size, 0, Number.MAX_SAFE_INTEGER);
  const match = typeof size === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)?\s*$/i.exec(size) : null;
  if (match === null) {
    throw invalidArgument(
      `${name} must be a number of bytes or a string such as '64KiB', '8MiB' or '1GiB', not ${show(size)}`,
    );
  }
  return wholeNumber(
    name,
    Number(match[1]) * UNITS[(match[2] ?? 'B').toUpperCase()],
    0,
    Number.MAX_SAFE_INTEGER,
  );
}

/** Permissions of a file. */
export function checkFileMode(mode: number): number {
  if (Number.isSafeInteger(mode) && mode >= 0 && mode <= 0o777) return mode;
  throw invalidArgument(`fileMode must be permissions, such as 0o640, from 0 to 0o777, not ${show(mode)}`);
}

export function wholeNumber(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
    throw invalidArgument(`${name} must be a whole number from ${least} to ${most}, not ${show(value)}`);
  }
  return value;
}

export function oneOf<T>(name: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) {
    throw invalidArgument(`${name} must be ${choices.map(show).join(' or ')}, not ${show(value)}`);
  }
  return value as T;
}

/** Refuses an option that does not exist; and null, which is not left out, nor a value of any. */
export function knownOptions(what: string, given: unknown, known: readonly string[]): void {
  if (given === undefined) return;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidArgument(`${what} takes its options as an object, not ${show(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw unknownOption(what, name, known);
    if ((given as Record<string, unknown>)[name] === null) {
      throw invalidArgument(`${name} must not be null`);
    }
  }
}

/** Options as they are now, for who looks at them later, too: by then their object may say what it said to others. */
export function saidNow<T extends object>(options: T, known: readonly (keyof T)[]): T {
  const said = known.map((name) => [name, options[name]]);
  return Object.fromEntries(said);
}

/** Names the option that was probably meant. */
export function unknownOption(what: string, name: string, known: readonly string[]): MillraceError {
  const meant = closest(name, known);
  return invalidArgument(
    `${what} has no option '${name}'. ` +
      (meant === undefined ? `It has: ${known.join(', ')}` : `Did you mean '${meant}'?`),
    { option: name, meant },
  );
}

export function closest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  // One slip in three letters: of short words any is near to any other by more.
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = slips(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** A name's end that was left out, such as its unit, is one. */
function slips(given: string, meant: string): number {
  return given.length >= 3 && meant.startsWith(given) ? 1 : editDistance(given, meant);
}

/** Letters that are wrong, missing or too many, and neighbours that changed places. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      const areSwapped = j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = areSwapped ? before[j - 2] + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(change, swap, row[j] + 1, next[j - 1] + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length];
}

const CONTROL = /\p{Cc}/gu;

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.replace(CONTROL, escaped)}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

export function checkWait({ signal, timeoutMs }: { signal?: AbortSignal; timeoutMs?: number }): void {
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    throw invalidArgument(`timeoutMs must be a number of milliseconds from 0 on, not ${show(timeoutMs)}`);
  }
  checkSignal(signal);
}

export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidArgument(`signal must be an AbortSignal, not ${show(signal)}`);
  }
}
