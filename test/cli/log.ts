import { Log, type LogRecord, type ReadOptions } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';

/** A log that was closed, with these records. */
export async function closedLog(records: Parameters<Log['appendBatch']>[0], directory = newDirectory()) {
  await using log = await Log.open(directory, { sync: 'none' });
  log.appendBatch(records);
  return directory;
}

export async function recordsOf(directory: string, options: ReadOptions = {}): Promise<LogRecord[]> {
  await using log = await Log.open(directory, { readOnly: true });
  const records: LogRecord[] = [];
  for await (const record of log.read(options)) records.push(record);
  return records;
}

export async function valuesOf(directory: string): Promise<string[]> {
  return (await recordsOf(directory)).map(({ value }) => value.toString());
}

export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `record ${i}`);
}
