import { MillraceError, Reader, type ReaderOptions, type ReaderRecord } from '../../index.js';

/** A place in a walk where records are missing, and why. */
export class Gap {
  /** Set where records can't be read; else the writer was faster than this reader. */
  readonly damage: MillraceError | undefined;
  /** How many records were overwritten before they could be read. */
  readonly overwritten: number;
  /** Where the walk went on behind damage; undefined: nowhere. */
  readonly next: number | undefined;

  constructor(damage: MillraceError | undefined, overwritten: number, next: number | undefined) {
    this.damage = damage;
    this.overwritten = overwritten;
    this.next = next;
  }

  get text(): string {
    if (this.damage === undefined)
      return `${this.overwritten} records were overwritten before they could be read`;
    const { path, position } = this.damage;
    const rest = this.next === undefined ? 'nothing behind it can be read' : `goes on at ${this.next}`;
    return `${path} is damaged at position ${position}; ${rest} (ERR_CORRUPT)`;
  }
}

/** Opens a channel to look at it: unseen by its writer, and nothing in the file changes. */
export function observe(
  path: string,
  waiting: Pick<ReaderOptions, 'wait' | 'follow' | 'signal'> = {},
): Promise<Reader> {
  return Reader.open(path, {
    gate: false,
    register: false,
    from: 'oldest',
    onLost: 'skip',
    verify: true,
    ...waiting,
  });
}

/** The records from the reader's place on, those that start before `until`; goes on behind what can't be read. */
export function* forward(reader: Reader, until = Number.POSITIVE_INFINITY): Generator<ReaderRecord | Gap> {
  let lost = reader.lost;
  while (reader.position < until) {
    const step = next(reader);
    if (reader.lost > lost) yield new Gap(undefined, reader.lost - lost, undefined);
    lost = reader.lost;
    if (step === undefined) return;
    if (!(step instanceof Gap) && step.position >= until) return;
    yield step;
    if (step instanceof Gap && step.next === undefined) return;
  }
}

/** The next record; or the damage in its place, with the reader behind it. */
function next(reader: Reader): ReaderRecord | Gap | undefined {
  try {
    return reader.read();
  } catch (error) {
    return passOver(reader, error);
  }
}

function passOver(reader: Reader, error: unknown): Gap {
  if (!isDamage(error)) throw error;
  if (error.next === undefined) return new Gap(error, 0, undefined);
  try {
    reader.seek(error.next);
    return new Gap(error, 0, error.next);
  } catch (again) {
    if (!isDamage(again)) throw again;
    return new Gap(error, 0, undefined);
  }
}

/** Throws where a channel that was ended lacks records, as nobody sees who only reads those that are there. */
export function checkEnd(reader: Reader): void {
  reader.ended;
}

/** Puts the reader at the end of what is there now, and returns that place. */
export function seekEnd(reader: Reader): number {
  try {
    reader.seek('latest');
  } catch (error) {
    if (passOver(reader, error).next !== undefined) for (const _ of forward(reader));
  }
  return reader.position;
}

/** The records before the reader's place, last one first; where there is damage, the reader is put in front of it. */
export function* backward(reader: Reader): Generator<ReaderRecord | Gap> {
  for (;;) {
    try {
      yield* reader.backwards();
      return;
    } catch (error) {
      if (!isDamage(error)) throw error;
      yield new Gap(error, 0, error.next);
      reader.seek(error.position as number);
    }
  }
}

function isDamage(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === 'ERR_CORRUPT';
}
