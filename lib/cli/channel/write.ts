import { type BatchRecord, inspect, MillraceError, Writer } from '../../index.js';
import { type BatchSize, batchesOf, FRAME_BYTES } from '../batches.js';
import { countOption, onePath, UsageError, type Values, type Verb } from '../command.js';
import { sayDropped } from '../dropped.js';
import { Feeding } from '../feeding.js';
import { checkInput, cutterFor, INPUT_OPTIONS, inputFormatOf, type Makers } from '../input.js';
import { interruption, isInterruption } from '../interruption.js';
import { sayError, sayProgress } from '../output.js';
import { plain, toJson, visible } from '../words.js';
import { advised } from './advice.js';
import { recordOf } from './json-record.js';
import { refuseLog } from './log-instead.js';

export const write: Verb = {
  name: 'write',
  summary: 'write what comes on standard input to a channel, and end it',
  help: `millrace write PATH [--lines|--frames|--json] [--type N] [--tag N] [--batch N] [--keep|--seal]

Writes a record for each line of standard input, until that ends or Ctrl-C, which leaves out a line that has not ended, and
tells how many there were and their numbers. It goes on with a channel that millrace create made, or that a writer left which
died, and then closes it: who reads it, as millrace tail -f does, comes to an end there. Where readers hold it back it waits for
them. Where something fails, what went in before stays, and is told; then the channel is not closed but left as with --keep, and
the exit code is 1: so where a linear channel is full.

  --lines         a record a line, whatever bytes it has (the default)
  --frames        a record after each four bytes that are its length, the least significant first
  --json          an object a line: { "text" or "base64" or "hex", "type", "tag", "timestamp" }; timestamp is in milliseconds,
                  such as "2026-11-21T05:00:00Z" (UTC unless it says its zone), or { "us": … }; it and tag are for channels
                  with timestamps. Blank lines are passed over. What is told in the end is an object, too: so it is with
                  --lines --json and --frames --json
  --type N, --tag N
                  of each record that doesn't bring its own (0)
  --batch N       N records at a time, all of them or none; without it each goes in as it comes
  --keep          leave it open in the end, for the next millrace write to go on with: to those who read it its writer is dead
  --seal          seal it in the end, which says that it is complete; after Ctrl-C it is closed only

Examples
  millrace write /dev/shm/orders --json --keep < orders.jsonl
  millrace create /dev/shm/orders && seq 1000 | millrace write /dev/shm/orders
  tail -F access.log | millrace write /dev/shm/access --batch 100
  millrace dump a --json | jq -c '{text, base64, type, tag, timestamp: {us: .timestamp}}' | millrace write b --json`,
  options: {
    ...INPUT_OPTIONS,
    type: { type: 'string' },
    tag: { type: 'string' },
    batch: { type: 'string' },
    keep: { type: 'boolean' },
    seal: { type: 'boolean' },
  },
  async run(values, paths, output) {
    const path = onePath(write, paths);
    const format = inputFormatOf(write, values);
    const exactly = countOption(write, values, 'batch', 1, undefined);
    const template = templateOf(values);
    const atEnd = atEndOf(values);
    checkInput(write);
    refuseLog(path, 'append');
    const { writer, maxRecord } = await goOn(path, template);
    const cutter = cutterFor(
      format,
      { bytes: maxRecord, name: 'the largest record of the channel' },
      makersFor(template),
    );
    const stop = interruption();
    const writing = new Writing(writer, exactly !== undefined, stop);
    const failures: unknown[] = [];
    try {
      for await (const batch of batchesOf(process.stdin, cutter, batchSizeIn(writer, exactly), stop)) {
        await writing.add(batch);
      }
    } catch (error) {
      failures.push(error);
    }
    const isWhole = failures.length === 0;
    await endAs(writer, isWhole ? (stop.aborted && atEnd === 'sealed' ? 'closed' : atEnd) : 'open').catch(
      (error: unknown) => failures.push(error),
    );
    for (const failure of failures) sayError(failure);
    output.line(values.json === true ? toJson(writing.summary) : writing.text);
    return failures.length === 0;
  },
};

type Template = Pick<BatchRecord, 'type' | 'tag'>;
type Writable = Buffer | BatchRecord;

const MOST_TYPE = 65535;

function templateOf(values: Values): Template {
  const type = countOption(write, values, 'type', 0, undefined);
  const tag = countOption(write, values, 'tag', 0, undefined);
  if (type !== undefined && type > MOST_TYPE) {
    throw new UsageError(`write: --type takes a whole number from 0 to ${MOST_TYPE}, not '${type}'`, 'write');
  }
  return { ...(type === undefined ? {} : { type }), ...(tag === undefined ? {} : { tag }) };
}

function makersFor(template: Template): Makers<Writable> {
  const isPlain = Object.keys(template).length === 0;
  return {
    ofValue: (data) => (isPlain ? data : { ...template, data }),
    ofJson: (text) => ({ ...template, ...recordOf(text) }),
  };
}

function atEndOf({ keep, seal }: Values): Writer['state'] {
  if (keep === true && seal === true) {
    throw new UsageError('write: one of --keep, --seal, not both', 'write');
  }
  if (keep === true) return 'open';
  return seal === true ? 'sealed' : 'closed';
}

/** Takes the channel over from whoever left it. */
async function goOn(path: string, { tag }: Template) {
  try {
    const { maxRecord, timestamps } = inspect(path);
    if (tag !== undefined && !timestamps) {
      throw new UsageError(`write: ${path} was made without timestamps: its records have no tag`, 'write');
    }
    const writer = await Writer.resume(path);
    sayDropped(path, writer.recovery?.dropped ?? 0);
    return { writer, maxRecord };
  } catch (error) {
    throw advised(write, error, {
      ERR_NOT_FOUND: `millrace create ${path} makes a channel`,
      ERR_ENDED: `millrace create ${path} --replace makes a new one in its place`,
      ERR_WRITER_ACTIVE: `a channel has one writer; millrace tail -f ${path} reads it meanwhile`,
    });
  }
}

/** A batch lies in one piece, and must not wait for more room than there may be at once. */
const PART_OF_CHANNEL = 16;

function batchSizeIn({ capacity }: Writer, exactly: number | undefined): BatchSize<Writable> {
  return { exactly, most: capacity / PART_OF_CHANNEL, bytesOf };
}

function bytesOf(record: Writable): number {
  const data = record instanceof Uint8Array ? record : (record.data as string | Buffer);
  return Buffer.byteLength(data) + FRAME_BYTES;
}

class Writing extends Feeding<Writable> {
  readonly #writer: Writer;
  readonly #stop: AbortSignal;
  readonly #first: number;

  constructor(writer: Writer, inWholes: boolean, stop: AbortSignal) {
    super(inWholes);
    this.#writer = writer;
    this.#stop = stop;
    this.#first = writer.recovery?.records ?? 0;
  }

  protected override async put(batch: Writable[]): Promise<void> {
    for (;;) {
      try {
        this.#writer.writeBatch(batch);
        return;
      } catch (error) {
        if ((error as MillraceError).code !== 'ERR_BACK_PRESSURE') throw error;
        await this.#waitForRoom(error as MillraceError);
      }
    }
  }

  async #waitForRoom({ code, readers = [] }: MillraceError): Promise<void> {
    const who = readers.map(({ name, pid }) => `${name || 'unnamed'} (pid ${pid})`).join(', ');
    sayProgress(`${this.#writer.path}: waiting for ${who}`);
    try {
      await this.#writer.ready({ signal: this.#stop });
    } catch (error) {
      if (!isInterruption(error)) throw error;
      const message = `interrupted while readers of ${this.#writer.path} held it back: ${who}; what had still to be written did not go in`;
      throw new MillraceError(code, message);
    } finally {
      sayProgress(undefined);
    }
  }

  override async add(batch: Writable[]): Promise<void> {
    await super.add(batch);
    if (this.#writer.sync === 'commit') await this.#writer.flush();
  }

  get #last(): number {
    return this.#first + this.count - 1;
  }

  get summary() {
    const numbers = this.count === 0 ? {} : { first: this.#first, last: this.#last };
    return { written: this.count, ...numbers, state: this.#writer.state };
  }

  get text(): string {
    const numbers = this.count === 1 ? `number ${this.#first}` : `numbers ${this.#first} to ${this.#last}`;
    const { path, state } = this.#writer;
    const written = this.count === 0 ? 'nothing' : `${plain(this.count, 'record')}: ${numbers}`;
    return `wrote ${written}; ${visible(path)} is ${state === 'open' ? 'left open' : state}`;
  }
}

/** What is to be on its disk by itself is there then. */
async function endAs(writer: Writer, state: Writer['state']): Promise<void> {
  if (state === 'closed') return writer[Symbol.asyncDispose]();
  if (writer.sync !== 'none') await writer.flush();
  if (state === 'sealed') writer.seal();
  // Whoever looks sees how far it is without having to walk there.
  else writer.heartbeat();
}
