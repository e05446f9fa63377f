import { diskBytes, type SegmentFile } from './files/index.js';

/** Called now and then with the bytes that are done, and all there are to do as far as is known. */
export type OnProgress = (done: number, total: number) => void;

/** How far work on many segments has come. */
export class Progress {
  readonly #onProgress: OnProgress | undefined;
  readonly #bytes = new Map<string, number>();
  #done = 0;
  #total = 0;

  constructor(onProgress: OnProgress | undefined) {
    this.#onProgress = onProgress;
  }

  /** These are to be gone through, perhaps once more. */
  expect(segments: readonly SegmentFile[]): void {
    for (const { path } of segments) this.#total += this.#bytesOf(path);
  }

  did({ path }: SegmentFile): void {
    this.#done += this.#bytesOf(path);
    this.#onProgress?.(this.#done, this.#total);
  }

  /** As they were first: it may be replaced by a smaller one. */
  #bytesOf(path: string): number {
    let bytes = this.#bytes.get(path);
    if (bytes === undefined) {
      bytes = diskBytes(path) ?? 0;
      this.#bytes.set(path, bytes);
    }
    return bytes;
  }
}
