import { type Appendable, DEFAULT_SEGMENT, type Log } from '../../log/index.js';
import { batchesOf } from '../batches.js';
import {
  countOption,
  fileModeOption,
  sizeOption,
  syncOption,
  UsageError,
  type Values,
  type Verb,
} from '../command.js';
import { Feeding } from '../feeding.js';
import { checkInput, cutterFor, INPUT_OPTIONS, inputFormatOf } from '../input.js';
import { interruption } from '../interruption.js';
import { sayError } from '../output.js';
import { offsets, plain, toJson } from '../words.js';
import { batchSizeIn, largestIn, makersFor, type Template } from './appendable.js';
import { logPath } from './channel-instead.js';
import { openToAppend } from './open.js';
import { inTurn } from './turn.js';

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
                  { "hex": … }, a null value says that what had the key is gone, timestamp is in milliseconds, such as
                  "2026-11-21T05:00:00Z" (UTC unless it says its zone), or { "us": … }. Blank lines are passed over. What is
                  told in the end is an object, too: so it is with --lines --json and --frames --json
  --key KEY, --header NAME=VALUE
                  of each record that doesn't bring its own
  --batch N       N records at a time, all of them or none; without it each goes in as it comes
  --sync MODE     when it reaches the disk: MS after it was appended (100), before more is taken (commit), or whenever the
                  system likes (none)
  --segment SIZE  how large segments grow (32MiB)
  --shared        make a log that several may append to at once, each in its turn; one that is there is as it was made
  --file-mode MODE
                  permissions of the files that are made, such as 640; of a log that is there, those of its files

Examples
  millrace log append /var/lib/app/events < events.txt
  tail -F access.log | millrace log append /var/lib/app/access --key web1 --sync 1000
  millrace log append /var/lib/app/events --json --batch 100 < events.jsonl
  millrace log read a --json | jq -c '{key, value, headers, timestamp: {us: .timestamp},
    ttlMs: (if .expiresAt then (.expiresAt - .timestamp) / 1000 else null end)}' | millrace log append b --json`,
  options: {
    ...INPUT_OPTIONS,
    key: { type: 'string' },
    header: { type: 'string', multiple: true },
    batch: { type: 'string' },
    sync: { type: 'string' },
    segment: { type: 'string' },
    shared: { type: 'boolean' },
    'file-mode': { type: 'string' },
  },
  async run(values, paths, output) {
    const path = logPath(append, paths, 'write');
    checkInput(append);
    const segment = sizeOption(append, values, 'segment') ?? DEFAULT_SEGMENT;
    const cutter = cutterFor(
      inputFormatOf(append, values),
      largestIn(segment),
      makersFor(templateOf(values)),
    );
    const exactly = countOption(append, values, 'batch', 1, undefined);
    const writers = values.shared === true ? 'shared' : undefined;
    const log = await openToAppend(append, path, {
      segment,
      sync: syncOption(append, values),
      writers,
      fileMode: fileModeOption(append, values),
    });
    const stop = interruption();
    const appending = new Appending(log, exactly !== undefined, values.sync === 'commit', stop);
    const failures: unknown[] = [];
    try {
      for await (const batch of batchesOf(process.stdin, cutter, batchSizeIn(segment, exactly), stop)) {
        await appending.add(batch);
      }
    } catch (error) {
      failures.push(error);
    }
    await log.close().catch((error: unknown) => failures.push(error));
    for (const failure of failures) sayError(failure);
    output.line(values.json === true ? toJson(appending.summary) : appending.text);
    return failures.length === 0;
  },
};

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

class Appending extends Feeding<Appendable> {
  readonly #log: Log;
  readonly #commits: boolean;
  readonly #stop: AbortSignal;
  #first: number | undefined;
  #last: number | undefined;

  constructor(log: Log, inWholes: boolean, commits: boolean, stop: AbortSignal) {
    super(inWholes);
    this.#log = log;
    this.#commits = commits;
    this.#stop = stop;
  }

  protected override async put(batch: Appendable[]): Promise<void> {
    const first = await inTurn((limits) => this.#log.appendAsync(batch, limits), this.#stop);
    this.#first ??= first;
    this.#last = first + batch.length - 1;
  }

  override async add(batch: Appendable[]): Promise<void> {
    await super.add(batch);
    if (this.#commits) await inTurn((limits) => this.#log.flush(limits), this.#stop);
  }

  get summary() {
    return { appended: this.count, first: this.#first, last: this.#last };
  }

  get text(): string {
    if (this.#first === undefined || this.#last === undefined) return 'appended nothing';
    const others = this.#last - this.#first >= this.count ? ', with those of others between them' : '';
    return `appended ${plain(this.count, 'record')}: ${offsets(this.#first, this.#last + 1)}${others}`;
  }
}
