import { readFileSync, writeFileSync } from 'node:fs';
import * as L from '../../lib/channel/layout.js';
import { type ChannelOptions, declareAbandoned, inspect, Reader, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { newPath } from '../helpers/run-directory.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong types are the point.
export type Wrong = any;

/** Everything that opens what is there. Each gives the same answer to what is no channel. */
export const OPENERS: Record<string, (path: string) => unknown> = {
  'Reader.open': (path) => Reader.open(path),
  'Reader.open, observing': (path) => Reader.open(path, { gate: false, register: false }),
  'Writer.resume': (path) => Writer.resume(path),
  inspect,
  declareAbandoned,
  'Writer.create with replace': (path) => Writer.create(path, { capacity: '64KiB', replace: true }),
};

/** The bytes of a dead channel: every opener would have something to do with it. */
export async function deadChannel(options: ChannelOptions = {}): Promise<Buffer> {
  const path = newPath();
  const { writer, crash } = await mortal(() =>
    Writer.create(path, { capacity: '64KiB', readers: 2, metadata: { kind: 'orders' }, ...options }),
  );
  writer.write('one');
  crash();
  return readFileSync(path);
}

export function sign(bytes: Buffer): Buffer {
  bytes.writeInt32LE(0, L.STATIC_CRC_OFFSET);
  const crc = binding().crc32c(bytes, 0, L.STATIC_BYTES, 0);
  const metadata = bytes.readInt32LE(L.METADATA_OFFSET_OFFSET);
  bytes.writeInt32LE(
    binding().crc32c(bytes, metadata, metadata + L.METADATA_BYTES, crc),
    L.STATIC_CRC_OFFSET,
  );
  return bytes;
}

export function put(bytes: Buffer | string): string {
  const path = newPath();
  writeFileSync(path, bytes);
  return path;
}
