const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 1536 -> '1.5 KiB' */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(value < 10 ? 2 : 1))} ${UNITS[unit]}`;
}

/** 1536 -> '1.5 KiB (1,536 bytes)' */
export function exactSize(bytes: number): string {
  return bytes < 1024 ? plural(bytes, 'byte') : `${size(bytes)} (${count(bytes)} bytes)`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `written`: how the number is. */
export function plural(value: number, thing: string, written: (value: number) => string = count): string {
  return `${written(value)} ${thing}${value === 1 ? '' : 's'}`;
}

/** Beside offsets, which are there to be copied, all numbers are as these. */
export function plain(value: number, thing: string): string {
  return plural(value, thing, String);
}

/** Offsets from the first one to that before `next`. */
export function offsets(from: number, next: number): string {
  return next - from === 1 ? `offset ${from}` : `offsets ${from} to ${next - 1}`;
}

const AGES: [number, string][] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
];

/** 125000 -> '2 minutes' */
export function age(ms: number): string {
  for (const [unit, name] of AGES) {
    if (ms >= unit) return plural(Math.floor(ms / unit), name);
  }
  return ms < 1000 ? `${Math.max(0, Math.round(ms))} ms` : `${Number((ms / 1000).toFixed(1))} s`;
}

/** Microseconds since 1970 -> '2026-11-21T05:16:21.123456Z' */
export function time(us: number): string {
  const date = new Date(Math.floor(us / 1000));
  if (Number.isNaN(date.getTime())) return `${us} µs`;
  return date.toISOString().replace('Z', `${String(us % 1000).padStart(3, '0')}Z`);
}

/** UTF-8 takes no more for each of a string's units. */
export const BYTES_A_UNIT = 3;

/** Control characters, and those that turn the direction of writing: what could make a terminal show what is not so. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
export const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** Text that shows what is in it, on one line. */
export function visible(text: string): string {
  return text.replace(CONTROL, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** The beginning of what is longer than that. Half of a character is left out with the other half. */
export function beginningOf(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** The same of its end. */
export function endOf(text: string, most: number): string {
  if (text.length <= most) return text;
  return `…${text.slice(text.length - most + 1).replace(/^[\udc00-\udfff]/, '')}`;
}

/** As JSON on one line: what a terminal would heed is escaped in it, and means the same to who reads it. */
export function toJson(value: unknown): string {
  return visible(JSON.stringify(value));
}

/** Rows below a head, each column as wide as its widest cell; numbers to the right. */
export function table(head: string[], rows: string[][], rightAligned: readonly string[]): string[] {
  const widths = head.map((title, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column].length), title.length),
  );
  return [head, ...rows].map((row) =>
    row
      .map((cell, column) =>
        rightAligned.includes(head[column]) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
}
