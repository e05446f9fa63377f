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
  /** Bytes that are too much for this channel, whatever room there is. */
  #tooMuch = 0;

  noRoom(position: number, need: number, all: number): void {
    this.#position = position;
    this.#need = need;
    this.#all = all;
    this.#tooMuch = 0;
  }

  tooLarge(position: number, bytes: number): void {
    this.noRoom(position, 0, 0);
    this.#tooMuch = bytes;
  }

  /** Nobody waits for it any more. Returns what it was: bytes of the payload, or with headers where there was no room. */
  forget(): number {
    this.#position = -1;
    return this.#tooMuch > 0 ? this.#tooMuch : this.#need;
  }

  /** Bytes of frames to wait for, at this end of the stream. */
  needAt(position: number): number {
    return position === this.#position ? this.#need : 0;
  }

  isForEverAt(position: number): boolean {
    return position === this.#position && this.#tooMuch > 0;
  }

  /** Who stood before this position, `capacity` behind the end of what was refused, was in its way. */
  inTheWayBelow(position: number, capacity: number): number {
    return position + this.#all - capacity;
  }
}
