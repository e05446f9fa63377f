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

/** What whoever takes files out of a log has to know of it. */
export interface TidiedLog {
  directory: Directory;
  teller: Teller;
  /** Throws where its directory may be another log's by now, of whose files none is to go. */
  assertNamed(): void;
}

/**
 * Sets aside what was put into a log under a segment's name: whoever removes or replaces segments meets it, and nobody else
 * changes any meanwhile.
 */
export class Tidying {
  readonly #log: TidiedLog;

  constructor(log: TidiedLog) {
    this.#log = log;
  }

  /** The segments of the log, without what it is whole without: that is set aside. */
  async segments(): Promise<SegmentFile[]> {
    const segments: SegmentFile[] = [];
    for (const file of this.#log.directory.segments()) {
      if (isTurnOver()) await turn();
      if (isStray(file) && isPassedOver(file, segments)) this.setAside(file);
      else segments.push(file);
    }
    return segments;
  }

  setAside({ path }: SegmentFile): void {
    const { directory, teller } = this.#log;
    this.#log.assertNamed();
    const folder = new SetAsideFolder(directory);
    folder.move(basename(path), NOT_OF_LOG);
    const [{ name: file, path: to, reason }] = folder.all;
    teller.tell('set-aside', `${path} was set aside to ${to}: ${reason}`, { file, to, reason });
  }
}
