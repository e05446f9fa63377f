import { SegmentReader, SegmentWriter, segmentBytes } from '../../lib/channel/index.js';
import { walkFrames } from '../../lib/log/files/segment-walk.js';
import {
  type EncodedRecord,
  packAll,
  type UnpackHandler,
  unpackEach,
} from '../../lib/log/records/packing.js';
import { PACKED } from '../../lib/log/records/record.js';
import { binding } from '../../lib/native.js';

/** Puts a sealed segment with the same records in the place of one, in compressed batches of about so many bytes. */
export async function packSegment(path: string, batchBytes: number): Promise<void> {
  const old = await SegmentReader.open(path, { readOnly: true });
  const records: EncodedRecord[] = [];
  await walkFrames(old, (bytes, start, end, type) => {
    const add: UnpackHandler = (from, at, until, type, tag, timeUs) => {
      const data = Buffer.from(from.subarray(at, until));
      records.push({ data, length: data.length, type, tag, timeUs });
    };
    if (type === PACKED) unpackEach(bytes, start, end, old.tag, old.timeUs, add);
    else add(bytes, start, end, type, old.tag, old.timeUs);
  });
  old.seekLatest();
  if (!old.hasEnded()) throw new Error(`${path} is not sealed`);
  const { capacity, baseRecord, metadata } = old;
  const link = old.link();
  old.close();
  const directory = path.slice(0, path.lastIndexOf('/'));
  const file = binding().createFileNow(directory, segmentBytes(capacity), 0o600);
  const design = { capacity, sync: 'none' as const, metadata, baseRecord };
  const writer = SegmentWriter.begin(path, file, design, () => Promise.resolve());
  for (const { data, type, tag, timeUs } of packAll(records, batchBytes, 'deflate')) {
    if (writer.append(data, type, tag, timeUs) < 0)
      throw new Error(`${path} has no room for its packed records`);
  }
  writer.seal(link as NonNullable<typeof link>);
  writer.takeName();
  await writer.settle(false);
}
