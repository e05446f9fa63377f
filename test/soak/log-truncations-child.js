/**
 * Cuts the last segment of a closed log. Started by `runLogTruncations`; arguments of its own: how many lengths of how
 * many.
 */
import { join } from 'node:path';
import * as L from '../../dist/channel/layout.js';
import { count, directory, more, note, runCases, Wrong } from './cases.js';
import { makeLog, putDown, tryLog } from './damaged-log.js';

const [chosen, lengths] = more.map(Number);
const DATA = L.DATA_ALIGN;

const log = await makeLog(join(directory, 'log'), { segment: '64KiB' }, (log) => {
  while (log.segments().length < 2) log.append(`${log.next}`.repeat(40));
  for (let i = 0; i < 250; i++) log.append({ key: `${i}`, value: `${i}`.repeat(i % 60) });
});
const [name, bytes] = [...log.files][1];
if (bytes.length !== DATA + lengths) throw new Error(`The last segment has ${bytes.length} bytes`);
/** Where each record of it ends, and where nothing was written any more. */
const ends = [];
let end = DATA;
while (bytes.readInt32LE(end) !== 0) {
  const isRecord = bytes[end + L.FRAME_KIND_OFFSET] === L.KIND_DATA;
  end += (bytes.readInt32LE(end) + 15) & -16;
  if (isRecord) ends.push(end);
}

await runCases(async (index) => {
  const length = DATA + lengths - 1 - Math.floor((index * lengths) / chosen);
  note(`${length} bytes of ${bytes.length}`);
  putDown(log, (file, whole) => (file === name ? whole.subarray(0, length) : whole));
  const lost = ends.flatMap((at, i) => (at > length ? [log.bases[1] + i] : []));
  const opened = await tryLog(log, new Set(lost), true);
  if (opened !== 'opened' && length >= end + L.FRAME_ALIGN) throw new Wrong(`it was not opened: ${opened}`);
  if (opened === 'opened' && lost.length > 0) throw new Wrong(`${lost.length} records were passed over`);
  count(`${lost.length > 0 ? 'records' : 'room'}: ${opened}`);
});
