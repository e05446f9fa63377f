import { MillraceError } from '../../errors.js';

/** What `tryWrite` returns where nothing was written. */
export const Refusal = { BACK_PRESSURE: -1, FULL: -2, TOO_LARGE: -3, ENDED: -4 } as const;

/**
 * What was refused last, for those who wait until it fits. Only where something was refused is anything noted: that it
 * went in after all shows by the stream's having gone on.
 */
export class LastRefusal {
  /** Where the stream ended when it was refused. */
  #position = -1;
  /** Bytes of frames that had no room; and with all that they need around them. */
  #need = 0;
  #all = 0;
  #size = 0;
  #isForEver = false;
  /** Tells one refusal from the next. */
  #count = 0;

  /** `size`: of the payload, or of a batch with headers counted. */
  noRoom(position: number, need: number, all: number, size: number): void {
    this.#position = position;
    this.#need = need;
    this.#all = all;
    this.#size = size;
    this.#isForEver = false;
    this.#count = (this.#count + 1) | 0;
  }

  /** As it is now: what is refused to others from here on is theirs to wait for. */
  copy(): LastRefusal {
    const copy = new LastRefusal();
    copy.noRoom(this.#position, this.#need, this.#all, this.#size);
    copy.#isForEver = this.#isForEver;
    copy.#count = this.#count;
    return copy;
  }

  /** It is too much for this channel, whatever room there is. */
  tooLarge(position: number, size: number): void {
    this.noRoom(position, 0, 0, size);
    this.#isForEver = true;
  }

  /** Bytes of frames to wait for, at this end of the stream. */
  needAt(position: number): number {
    return position === this.#position ? this.#need : 0;
  }

  sizeAt(position: number): number {
    return position === this.#position ? this.#size : 0;
  }

  /** Nobody waits any more for what will never fit: it was told. What was refused to others since is still theirs. */
  forget(told: LastRefusal): void {
    if (this.#count === told.#count) this.#position = -1;
  }

  isForEverAt(position: number): boolean {
    return position === this.#position && this.#isForEver;
  }

  /** Who stood before this position, `capacity` behind the end of what was refused, was in its way. */
  inTheWayBelow(position: number, capacity: number): number {
    return position + this.#all - capacity;
  }
}

export function claimIsOpen(path: string): MillraceError {
  return busy(path, `A claim on ${path} is open: commit or abort it first`);
}

export function writtenWithin(path: string): MillraceError {
  return busy(
    path,
    `An element of a batch that is being written to ${path} can't write another record to it`,
  );
}

function busy(path: string, message: string): MillraceError {
  return new MillraceError('ERR_BUSY', message, { path });
}
