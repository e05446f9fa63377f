import { basename } from 'node:path';
import { isTurnOver, type Teller, turn } from '../../channel/index.js';
import {
  type Directory,
  isPassedOver,
  isStray,
  NOT_OF_LOG,
  type SegmentFile,
  SetAsideFolder,
} from '../files/index.js';

/**
 * Sets aside what was put into a log under a segment's name: whoever removes or replaces segments meets it, and nobody else
 * changes any meanwhile.
 */
export class Tidying {
  readonly #directory: Directory;
  readonly #teller: Teller;

  constructor(directory: Directory, teller: Teller) {
    this.#directory = directory;
    this.#teller = teller;
  }

  /** The segments of the log, without what it is whole without: that is set aside. */
  async segments(): Promise<SegmentFile[]> {
    const segments: SegmentFile[] = [];
    for (const file of this.#directory.segments()) {
      if (isTurnOver()) await turn();
      if (isStray(file) && isPassedOver(file, segments)) this.setAside(file);
      else segments.push(file);
    }
    return segments;
  }

  setAside({ path }: SegmentFile): void {
    const folder = new SetAsideFolder(this.#directory);
    folder.move(basename(path), NOT_OF_LOG);
    const [{ name: file, path: to, reason }] = folder.all;
    this.#teller.tell('set-aside', `${path} was set aside to ${to}: ${reason}`, { file, to, reason });
  }
}
