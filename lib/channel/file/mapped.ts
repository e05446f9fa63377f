import { MillraceError } from '../../errors.js';
import { binding, type FileHandle } from '../../native.js';
import * as L from '../layout.js';
import { explain, isRam, refuseFileSystem } from '../runtime/index.js';
import { decodeHeader, type Header, MAX_FILE_BYTES } from './header.js';

/** A channel's file in this process's memory, and what its static part says. */
export interface Mapped {
  readonly path: string;
  readonly file: FileHandle;
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly header: Header;
  /** Whether this process may write the file: a reader that may not can only observe. */
  readonly writable: boolean;
  readonly inRam: boolean;
}

/** Lock on byte 0: the writer's, for life. Byte 1 + s: the owner's of reader slot s. */
export const WRITER_LOCK_BYTE = 0;

export const STATE = L.STATE_OFFSET >> 2;

/** Where a position of a linear channel lies in its file, and the other way round. */
export function offsetAt({ header }: Mapped, position: number): number {
  return header.dataOffset + position - header.basePosition;
}

export function positionAt({ header }: Mapped, offset: number): number {
  return header.basePosition + offset - header.dataOffset;
}

/** Which of its words is the first one at a position, in a ring as of any lap. */
export function wordAt({ header }: Mapped, position: number): number {
  return (header.dataOffset + ((position - header.basePosition) % header.capacity)) >> 2;
}

/** Opens and maps a channel read-only, and believes nothing of it before its header held. */
export function openMapped(path: string, access: 'read' | 'write' | 'write if allowed'): Mapped {
  const { file, writable } = openFile(path, access);
  try {
    const stat = binding().statFile(file);
    refuseFileSystem(stat.fileSystem, path);
    if (!stat.regular) throw new MillraceError('ERR_FORMAT', `${path} is not a regular file`, { path });
    if (stat.bytes === 0) {
      throw new MillraceError('ERR_TRUNCATED', `${path} is empty`, {
        path,
        size: 0,
        expected: L.HEADER_BYTES,
      });
    }
    if (stat.bytes > MAX_FILE_BYTES) {
      throw new MillraceError('ERR_FORMAT', `${path} is not a Millrace channel: it is too large`, {
        path,
        size: stat.bytes,
      });
    }
    const buffer = binding().mapFile(file);
    const header = decodeHeader(Buffer.from(buffer), path);
    return viewMapping(path, file, buffer, header, writable, isRam(stat.fileSystem));
  } catch (error) {
    binding().closeFile(file);
    throw explain(error, path, 'open');
  }
}

export function viewMapping(
  path: string,
  file: FileHandle,
  buffer: ArrayBuffer,
  header: Header,
  writable: boolean,
  inRam: boolean,
): Mapped {
  const bytes = Buffer.from(buffer);
  const words = new Int32Array(buffer);
  return { path, file, bytes, words, header, writable, inRam };
}

function openFile(path: string, access: 'read' | 'write' | 'write if allowed') {
  if (access !== 'read') {
    try {
      return { file: binding().openFile(path, true), writable: true };
    } catch (error) {
      const explained = explain(error, path, 'open') as MillraceError;
      if (access === 'write' || explained.code !== 'ERR_PERMISSION') throw explained;
    }
  }
  try {
    return { file: binding().openFile(path, false), writable: false };
  } catch (error) {
    throw explain(error, path, 'open');
  }
}
