import type { Appendable, LogRecordInput } from '../../log/index.js';
import { type BatchSize, FRAME_BYTES } from '../batches.js';
import type { Largest, Makers } from '../input.js';
import { BYTES_A_UNIT } from '../words.js';
import { recordOf } from './json-record.js';

/** What all records have that say nothing else. */
export type Template = Pick<LogRecordInput, 'key' | 'headers'>;

export function makersFor(template: Template): Makers<Appendable> {
  const isPlain = template.key === undefined && template.headers === undefined;
  return {
    ofValue: (value) => (isPlain ? value : { ...template, value }),
    ofJson: (text) => ({ ...template, ...recordOf(text) }),
  };
}

export function largestIn(segment: number): Largest {
  return { bytes: segment, name: 'a segment of the log' };
}

/** A batch is all in one segment. */
const PART_OF_SEGMENT = 8;

export function batchSizeIn(segment: number, exactly: number | undefined): BatchSize<Appendable> {
  return { exactly, most: segment / PART_OF_SEGMENT, bytesOf };
}

function bytesOf(record: Appendable): number {
  if (record instanceof Uint8Array) return record.length + FRAME_BYTES;
  if (typeof record === 'string') return record.length * BYTES_A_UNIT + FRAME_BYTES;
  const { key = '', value, headers = [] } = record;
  let units = key.length + (value?.length ?? 0);
  for (const [name, data] of Array.isArray(headers) ? headers : Object.entries(headers)) {
    units += name.length + data.length;
  }
  return units * BYTES_A_UNIT + FRAME_BYTES;
}
