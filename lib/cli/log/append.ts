import type { MillraceError } from '../../index.js';
import type { Appendable, Log, LogOptions } from '../../log/index.js';
import { countOption, onePath, sizeOption, UsageError, type Values, type Verb } from '../command.js';
import { interruption } from '../interruption.js';
import { sayError } from '../output.js';
import { offsets, plain } from '../words.js';
import { batchesOf } from './batches.js';
import { cutterFor, InputError, type InputFormat, type Template } from './input.js';
import { openToAppend } from './open.js';

const DEFAULT_SEGMENT = 64 * 2 ** 20;

export const append: Verb = {
  name: 'log append',
  summary: 'append what comes on standard input',
  help: `millrace log append DIRECTORY [--lines|--frames|--json] [--key KEY] [--header NAME=VALUE]… [--batch N]
                    [--sync none|commit|MS] [--segment SIZE] [--shared] [--file-mode MODE]

Appends a record for each line of standard input, until that ends or Ctrl-C, and tells how many there were and their offsets.
The log is made where there is none. Where something fails, what went in before stays, and is told; the exit code is 1.

  --lines         a record a line, whatever bytes it has (the default)
  --frames        a record after each four bytes that are its length, the least significant first
  --json          an object a line: { "key", "value", "headers", "timestamp", "ttlMs" }; bytes are a string, { "base64": … } or
                  { "hex": … }, a null value says that what had the key is gone, timestamp is in milliseconds, a text
                  (UTC unless it says its zone), or { "us": … }. What is told in the end is an object, too: so it is with
                  --lines --json and --frames --json
  --key KEY, --header NAME=VALUE
                  of each record that doesn't bring its own
  --batch N       N records at a time, all of them or none; without it each goes in as it comes
  --sync MODE     when it reaches the disk: MS after it was appended (100), before more is taken (commit), or whenever the
                  system likes (none)
  --segment SIZE  how large segments grow (64MiB)
  --shared        make a log that several may append to at once, each in its turn; one that is there is as it was made
  --file-mode MODE
                  permissions of the files that are made, such as 640; of a log that is there, those of its files

Examples
  millrace log append /var/lib/app/events < events.txt
  tail -F access.log | millrace log append /var/lib/app/access --key web1 --sync 1000
  millrace log append /var/lib/app/events --json --batch 100 < events.jsonl
  millrace log read a --json | jq -c '{key, value, headers, timestamp: {us: .timestamp}}' | millrace log append b --json`,
  options: {
    lines: { type: 'boolean' },
    frames: { type: 'boolean' },
    json: { type: 'boolean' },
    key: { type: 'string' },
    header: { type: 'string', multiple: true },
    batch: { type: 'string' },
    sync: { type: 'string' },
    segment: { type: 'string' },
    shared: { type: 'boolean' },
    'file-mode': { type: 'string' },
  },
  async run(values, paths, output) {
    const path = onePath(append, paths, 'log');
    const segment = sizeOption(append, values, 'segment') ?? DEFAULT_SEGMENT;
    const cutter = cutterFor(formatOf(values), segment, templateOf(values));
    const exactly = countOption(append, values, 'batch', 1, undefined);
    const writers = values.shared === true ? 'shared' : undefined;
    const log = await openToAppend(append, path, {
      segment,
      sync: syncOf(values),
      writers,
      fileMode: fileModeOf(values),
    });
    const stop = interruption();
    const appending = new Appending(log, exactly, values.sync === 'commit');
    const failures: unknown[] = [];
    try {
      for await (const batch of batchesOf(process.stdin, cutter, { exactly, segment }, stop)) {
        await appending.add(batch);
      }
    } catch (error) {
      failures.push(error);
    }
    await log.close().catch((error: unknown) => failures.push(error));
    output.line(values.json === true ? JSON.stringify(appending.summary) : appending.text);
    await output.flush();
    for (const failure of failures) sayError(failure);
    return failures.length === 0;
  },
};

function formatOf({ lines, frames, json }: Values): InputFormat {
  if (lines === true && frames === true) {
    throw new UsageError('log append: one of --lines, --frames, not both', append.name);
  }
  if (frames === true) return 'frames';
  return json === true && lines !== true ? 'json' : 'lines';
}

function templateOf({ key, header = [] }: Values): Template {
  const headers = (header as string[]).map((pair): [string, string] => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (name !== undefined) return [name, value];
    throw new UsageError(`log append: --header takes NAME=VALUE, not '${pair}'`, append.name);
  });
  return {
    ...(key === undefined ? {} : { key: key as string }),
    ...(headers.length === 0 ? {} : { headers }),
  };
}

function syncOf({ sync }: Values): LogOptions['sync'] {
  if (sync === undefined || sync === 'none' || sync === 'commit') return sync;
  if (/^\d+$/.test(String(sync))) return { everyMs: Number(sync) };
  throw new UsageError(`log append: --sync takes none, commit or milliseconds, not '${sync}'`, append.name);
}

function fileModeOf({ 'file-mode': mode }: Values): number | undefined {
  if (mode === undefined) return undefined;
  if (/^[0-7]{3}$/.test(String(mode))) return Number.parseInt(String(mode), 8);
  throw new UsageError(`log append: --file-mode takes three digits such as 640, not '${mode}'`, append.name);
}

class Appending {
  readonly #log: Log;
  readonly #exactly: number | undefined;
  readonly #commits: boolean;
  #appended = 0;
  #first: number | undefined;
  #last: number | undefined;

  constructor(log: Log, exactly: number | undefined, commits: boolean) {
    this.#log = log;
    this.#exactly = exactly;
    this.#commits = commits;
  }

  async add(batch: Appendable[]): Promise<void> {
    await this.#append(batch);
    if (this.#commits) await this.#log.flush();
  }

  async #append(batch: Appendable[]): Promise<void> {
    let first: number;
    try {
      first = await this.#log.appendAsync(batch);
    } catch (error) {
      if (!isOfRecords(error)) throw error;
      if (batch.length === 1 || this.#exactly !== undefined) throw this.#explain(error, batch.length);
      // All but one of them may go in.
      for (const record of batch) await this.#append([record]);
      return;
    }
    this.#appended += batch.length;
    this.#first ??= first;
    this.#last = first + batch.length - 1;
  }

  #explain({ code, message }: MillraceError, records: number): InputError {
    const number = this.#appended + 1;
    const which = records === 1 ? `record ${number}` : `records ${number} to ${number + records - 1}`;
    return new InputError(`${which} of the input: ${message} (${code})`);
  }

  get summary() {
    return { appended: this.#appended, first: this.#first, last: this.#last };
  }

  get text(): string {
    if (this.#first === undefined || this.#last === undefined) return 'appended nothing';
    const others = this.#last - this.#first >= this.#appended ? ', with those of others between them' : '';
    return `appended ${plain(this.#appended, 'record')}: ${offsets(this.#first, this.#last + 1)}${others}`;
  }
}

function isOfRecords(error: unknown): error is MillraceError {
  const { code } = error as MillraceError;
  return code === 'ERR_INVALID_ARGUMENT' || code === 'ERR_RECORD_TOO_LARGE';
}
