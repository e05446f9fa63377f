import { channel } from 'node:diagnostics_channel';
import { invalidArgument } from '../../errors.js';
import { show } from '../../options.js';

/** What is told besides being returned or thrown; `console` is one. */
export interface Logger {
  debug(message: string, facts: object): void;
  info(message: string, facts: object): void;
  warn(message: string, facts: object): void;
  error(message: string, facts: object): void;
}

/** What may happen to a writer, reader or log, with the level at which a logger hears of it. */
const LEVELS = {
  open: 'debug',
  close: 'debug',
  resumed: 'info',
  followed: 'info',
  alive: 'info',
  ended: 'info',
  overtaken: 'warn',
  evicted: 'warn',
  stalled: 'warn',
  dead: 'warn',
  overrun: 'warn',
  'set-aside': 'warn',
  reset: 'warn',
  failed: 'error',
} as const;

export type Happening = keyof typeof LEVELS;

const HAPPENINGS = Object.keys(LEVELS) as Happening[];
const CHANNELS = Object.fromEntries(
  HAPPENINGS.map((happening) => [happening, channel(`millrace:${happening}`)]),
) as Record<Happening, ReturnType<typeof channel>>;

/** Whom it is about. */
interface Who {
  role: 'writer' | 'reader' | 'log';
  path: string;
  name?: string;
}

/** Tells of what happens to one writer, reader or log: on diagnostics channels and to its logger, if there is one. */
export class Teller {
  readonly #who: Who;
  readonly #logger: Logger | undefined;

  constructor(who: Who, logger: Logger | undefined) {
    this.#who = who;
    this.#logger = logger;
  }

  /** Whether anybody would hear of one of these now. */
  isHeard(...happenings: Happening[]): boolean {
    return this.#logger !== undefined || happenings.some((happening) => CHANNELS[happening].hasSubscribers);
  }

  tell(happening: Happening, message: string, facts: object = {}): void {
    const published = CHANNELS[happening];
    if (this.#logger === undefined && !published.hasSubscribers) return;
    const told = { ...this.#who, ...facts };
    if (published.hasSubscribers) published.publish(told);
    try {
      this.#logger?.[LEVELS[happening]](message, told);
    } catch (error) {
      throwLater(error);
    }
  }

  /** Where it must not be told in the midst of what is going on: who hears of it may read, write and close. */
  tellSoon(happening: Happening, message: string, facts: object): void {
    if (this.isHeard(happening)) process.nextTick(() => this.tell(happening, message, facts));
  }
}

/** For what somebody threw who was only told: what went on goes on. So does Node with subscribers. */
export function throwLater(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

export function checkLogger(logger: unknown): void {
  if (logger === undefined) return;
  const isOne = (['debug', 'info', 'warn', 'error'] as const).every(
    (level) => typeof (logger as Partial<Logger> | null)?.[level] === 'function',
  );
  if (!isOne)
    throw invalidArgument(`A logger needs the methods debug, info, warn and error, not ${show(logger)}`);
}
