import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, vi } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { disk } from '../../lib/channel/runtime/disk.js';
import type { Reader, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';

export const LINEAR = { mode: 'linear', capacity: '256KiB', heartbeatMs: 60_000 } as const;

/** For a file of tests: what was put in the place of something else goes. */
export function restoringAll(): void {
  afterEach(() => {
    vi.restoreAllMocks();
  });
}

export const textsOf = (reader: Reader) => reader.readBatch(1000).map(({ data }) => data.toString());

/** Syncs that were asked for, in their order. */
export function watchSyncs() {
  const flush = disk.flushFrames;
  const syncs: { end: number; sync: boolean }[] = [];
  vi.spyOn(disk, 'flushFrames').mockImplementation((file, start, end, stamp, incarnation, sync) => {
    syncs.push({ end, sync });
    return flush(file, start, end, stamp, incarnation, sync);
  });
  return syncs;
}

/** Writes while the sync runs, so that there is something behind what it reached. */
export async function flushWhileWriting(writer: Writer, text: string): Promise<void> {
  const flush = disk.flushFrames;
  vi.spyOn(disk, 'flushFrames').mockImplementationOnce((...given) => {
    const flushed = flush(...given);
    writer.write(text);
    return flushed;
  });
  const end = writer.position;
  expect(await writer.flush()).toBe(end);
}

/** The channel as another start of the machine finds it, somewhere else. */
export function afterRestart(path: string, change: (bytes: Buffer) => void = () => {}): string {
  const bytes = readFileSync(path);
  bytes[L.WRITER_BOOT_OFFSET] ^= 1;
  change(bytes);
  const copy = newPath();
  writeFileSync(copy, bytes);
  return copy;
}

export const offsetOf = (bytes: Buffer, position: number) =>
  bytes.readInt32LE(L.DATA_OFFSET_OFFSET) + position;
