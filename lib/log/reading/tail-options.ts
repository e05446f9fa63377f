import { checkIdle, type Idle, type When } from '../../channel/index.js';
import { knownOptions, oneOf } from '../../options.js';

/** Where to read from. */
export type LogWhere = 'earliest' | 'latest' | number | { time: When };

export interface TailSettings {
  idle?: Idle;
  /** Whether to hand out only what is on the disk. */
  durableOnly: boolean;
  /** What to do where records are gone that were to be read. */
  outOfRange: 'throw' | 'earliest' | 'latest';
}

export interface TailOptions {
  /** Where to begin ('latest'). */
  from?: LogWhere | undefined;
  /** Only what is on the disk. */
  durableOnly?: boolean | undefined;
  /** What to do where records are gone that were to be read ('throw'). */
  outOfRange?: 'throw' | 'earliest' | 'latest' | undefined;
  /** How to wait. */
  idle?: Idle | undefined;
}

export function tailSettings(options: TailOptions): TailSettings & { from: LogWhere } {
  knownOptions('tail', options, ['from', 'durableOnly', 'outOfRange', 'idle']);
  checkIdle(options.idle);
  return {
    from: options.from ?? 'latest',
    durableOnly: oneOf('durableOnly', options.durableOnly ?? false, [true, false]),
    outOfRange: oneOf('outOfRange', options.outOfRange ?? 'throw', ['throw', 'earliest', 'latest'] as const),
    idle: options.idle,
  };
}
