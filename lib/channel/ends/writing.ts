import { type Codec, checkCodec, type Data, type Encoder } from '../records/index.js';
import { checkLogger, type Logger } from '../runtime/index.js';
import { checkIdle, type Idle } from '../waiting/index.js';
import type { ChannelOptions } from '../writing/index.js';

/** What a writer takes that is not about its channel. */
export interface WritingOptions<In = Data> {
  /** Encodes what is written. It is not in the file: readers say theirs. */
  codec?: Codec<In, unknown> | Encoder<In> | undefined;
  /** How `ready` and `send` wait for room; as `idle` of a reader. */
  idle?: Idle | undefined;
  /** Hears of what happens to this writer. */
  logger?: Logger | undefined;
}

export interface WriterOptions<In = Data> extends ChannelOptions, WritingOptions<In> {}

export const WRITING_OPTIONS = [
  'codec',
  'idle',
  'logger',
] as const satisfies readonly (keyof WritingOptions)[];

export function checkWritingOptions<In>({ codec, idle, logger }: WritingOptions<In>): void {
  checkLogger(logger);
  checkCodec(codec, 'encode');
  checkIdle(idle);
}
