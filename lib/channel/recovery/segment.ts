import { dirname } from 'node:path';
import { invalidArgument } from '../../errors.js';
import type { Mapped } from '../file/index.js';

/** What a log knows of its segments is more than what is in each: nobody else may go on with one, end it, or take its place. */
export function refuseSegment({ path, header }: Mapped): void {
  const log = header.metadata.log as { id?: unknown; base?: unknown } | null | undefined;
  if (typeof log?.id !== 'string' || typeof log.base !== 'number') return;
  throw invalidArgument(
    `${path} is a segment of a log, which only the log goes on with: open that, ${dirname(path)}`,
    { path },
  );
}
