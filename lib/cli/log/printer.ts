import { isUtf8 } from 'node:buffer';
import type { LogRecord } from '../../log/index.js';
import { UsageError, type Values, type Verb } from '../command.js';
import type { Output } from '../output.js';
import { ENCODING_OPTIONS, type Encoding, encodingOf, preview } from '../payload.js';
import { time, toJson, visible } from '../words.js';

const FORMATS = ['json', 'values', 'frames'] as const;

export const FORMAT_OPTIONS = {
  values: { type: 'boolean' },
  frames: { type: 'boolean' },
  json: { type: 'boolean' },
  ...ENCODING_OPTIONS,
} as const;

export const FORMAT_HELP = `  --values        values alone, a line each: the bytes as they are, or, on a terminal, with control characters made visible
  --frames        values alone: four bytes of length, the least significant first, and as many of the value; on a terminal as
                  with --values
  --json          an object a line: offset, timestamp (in microseconds), key, value (null: what had the key is gone),
                  headers, expiresAt; what is not UTF-8 is { "base64": … }
  --text, --hex, --base64
                  how keys and values are shown; by default text where it is UTF-8 without a NUL, else hex; with --json text
                  where it is UTF-8, else base64`;

/** What can't be read, in the direction of reading. */
export interface Gap {
  code: string;
  /** The first record of it; undefined where nobody knows. */
  from: number | undefined;
  /** The one to go on at, if there is one. */
  next: number | undefined;
}

/** Writes records out; true: enough is held by now that the output must be flushed. */
export interface Printer {
  record(record: LogRecord): boolean;
  gap(gap: Gap): void;
}

export function printerFor(verb: Verb, values: Values, output: Output): Printer {
  const encoding = encodingOf(verb, values);
  const chosen = FORMATS.filter((format) => values[format] === true);
  if (chosen.length > 1 || (chosen[0] === 'frames' && encoding !== 'auto')) {
    const given = [...chosen, ...(encoding === 'auto' ? [] : [encoding])].map((name) => `--${name}`);
    throw new UsageError(`${verb.name}: one of ${given.join(', ')}, not several`, verb.name);
  }
  switch (chosen[0]) {
    case 'json':
      return jsonPrinter(encoding, output);
    case 'values':
      return valuePrinter(encoding, output);
    case 'frames':
      // Frames are for programs.
      return output.isTerminal ? valuePrinter(encoding, output) : framePrinter(output);
    default:
      return linePrinter(encoding, output);
  }
}

function linePrinter(encoding: Encoding, output: Output): Printer {
  const shown = (data: Buffer) => preview(data, encoding, Number.MAX_SAFE_INTEGER);
  return {
    record: ({ offset, timestamp, key, value, headers, tombstone }) => {
      const cells = [String(offset), time(timestamp), key === undefined ? '-' : shown(key)];
      if (headers !== undefined) {
        cells.push(`[${headers.map(([name, data]) => `${visible(name)}=${shown(data)}`).join(', ')}]`);
      }
      cells.push(tombstone === true ? '(gone)' : shown(value));
      return output.line(cells.join('  '));
    },
    gap: (gap) => output.line(`--- damaged ${gapText(gap)}`),
  };
}

export function gapText({ from, next }: Gap): string {
  const isBack = from === undefined || (next !== undefined && next < from);
  const where = from === undefined ? 'at the end' : `from record ${from} ${isBack ? 'back' : 'on'}`;
  return next === undefined ? where : `${where}; goes on at ${next}`;
}

function jsonPrinter(encoding: Encoding, output: Output): Printer {
  const asJson = (data: Buffer) => jsonOf(data, encoding);
  return {
    record: ({ offset, timestamp, key, value, headers, expiresAt, tombstone }) =>
      output.line(
        toJson({
          offset,
          timestamp,
          key: key && asJson(key),
          value: tombstone === true ? null : asJson(value),
          headers: headers?.map(([name, data]) => [name, asJson(data)]),
          expiresAt,
        }),
      ),
    gap: (gap) => output.line(toJson({ gap })),
  };
}

function jsonOf(data: Buffer, encoding: Encoding): string | Record<string, string> {
  const chosen = encoding === 'auto' ? (isUtf8(data) ? 'text' : 'base64') : encoding;
  return chosen === 'text' ? data.toString('utf8') : { [chosen]: data.toString(chosen) };
}

function valuePrinter(encoding: Encoding, output: Output): Printer {
  if (encoding === 'hex' || encoding === 'base64') {
    return { record: ({ value }) => output.line(value.toString(encoding)), gap: nothing };
  }
  return output.isTerminal
    ? { record: ({ value }) => output.line(visible(value.toString('utf8'))), gap: nothing }
    : { record: ({ value }) => output.line(value), gap: nothing };
}

function framePrinter(output: Output): Printer {
  const length = Buffer.alloc(4);
  return {
    record: ({ value }) => {
      length.writeUInt32LE(value.length);
      output.bytes(length);
      return output.bytes(value);
    },
    gap: nothing,
  };
}

function nothing(): void {}
