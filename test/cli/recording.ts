import { Reader, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';
import { millrace, objectsOf } from './command.js';
import { recordsOf } from './log.js';

const AT = 1_700_000_000_000_000;

/** A channel of records that differ in all that a record has. */
export async function variedChannel(count: number, path = newPath()): Promise<string> {
  const writer = await Writer.create(path, { capacity: '1MiB', timestamps: true });
  for (let i = 0; i < count; i++) {
    const data = i % 7 === 0 ? Buffer.from([0xff, i % 256, 0x0a]) : `record ${i}`;
    writer.write(data, { type: i % 3, tag: i % 5, timestamp: { us: AT + i * 10 } });
  }
  writer.close();
  return path;
}

/** What is in a channel, but for where. */
export async function contentsOf(path: string): Promise<Record<string, unknown>[]> {
  return objectsOf((await millrace('dump', path, '--json')).stdout).map(
    ({ position, record, ...content }) => content,
  );
}

/** Of each record that has it. */
export async function headersOf(directory: string, wanted: string): Promise<string[]> {
  return (await recordsOf(directory)).flatMap(({ headers = [] }) =>
    headers.filter(([name]) => name === wanted).map(([, value]) => value.toString()),
  );
}

export async function textsOf(path: string): Promise<string[]> {
  using reader = await Reader.open(path, { from: 'oldest', gate: false });
  return reader.readBatch(Number.MAX_SAFE_INTEGER).map(({ data }) => data.toString());
}
