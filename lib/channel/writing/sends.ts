import { invalidArgument } from '../../errors.js';
import { checkWait, knownOptions, show } from '../../options.js';
import type { RecordOptions } from '../records/index.js';
import { isTurnDue, type Stopwatch, turn } from '../runtime/index.js';
import {
  type IdleStrategy,
  type Limits,
  type Sleeper,
  type Task,
  throwIfAborted,
  type WaitOptions,
  waitUntil,
  within,
} from '../waiting/index.js';
import type { Appender } from './appender.js';
import { claimIsOpen, Refusal } from './refusal.js';

/** What became of a record that was to be sent: the bytes it took, or a refusal, and where the stream ended then. */
export interface Sent {
  taken: number;
  end: number;
}

export type SendOptions = RecordOptions & WaitOptions;

const UNLIMITED = { described: undefined, limits: {} as WaitOptions };

/** What of the options is about the record, and what about the waiting. */
export function splitOptions(options: SendOptions | undefined) {
  if (options === undefined) return UNLIMITED;
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument(`The options of send must be an object, not ${show(options)}`);
  }
  knownOptions('send', options, ['type', 'tag', 'timestamp', 'signal', 'timeoutMs']);
  // By name: what is inherited counts as it does for others who take these.
  const { signal, timeoutMs, type, tag, timestamp } = options;
  const described = { type, tag, timestamp };
  const limits = { signal, timeoutMs };
  checkWait(limits);
  return { described, limits };
}

/** Those who wait until their record has room: what is sent goes in in the order of the calls. */
export class Sends {
  readonly #task: Task;
  readonly #appender: Pick<Appender, 'flow' | 'busy'>;
  readonly #sleeper: Sleeper;
  readonly #strategy: IdleStrategy;
  /** Of those who had to wait. */
  readonly #stopwatch: Stopwatch;
  /** Each is called when its turn comes. */
  readonly #queue = new Set<() => void>();

  constructor(
    path: string,
    appender: Pick<Appender, 'flow' | 'busy'>,
    sleeper: Sleeper,
    strategy: IdleStrategy,
    stopwatch: Stopwatch,
  ) {
    this.#appender = appender;
    this.#task = { what: `Waiting for room in ${path}`, path };
    this.#sleeper = sleeper;
    this.#strategy = strategy;
    this.#stopwatch = stopwatch;
  }

  /**
   * Whether there is room shows when the record is in. Encoded at each try, so that a codec that counts does so in the
   * order of the stream.
   */
  async inTurn(write: () => Sent, limits: Limits): Promise<Sent> {
    throwIfAborted(limits.signal, this.#task);
    const tryToSend = (): Sent | undefined => {
      const sent = write();
      return sent.taken === Refusal.BACK_PRESSURE ? undefined : sent;
    };
    if (this.#queue.size === 0) {
      const sent = tryToSend();
      if (sent !== undefined) {
        if (isTurnDue()) await turn();
        return sent;
      }
    } else {
      // Who holds the claim may be who calls: both would wait for the other.
      if (this.#appender.busy) throw claimIsOpen(this.#task.path as string);
      this.#appender.flow.refusals++;
    }
    const beganAt = performance.now();
    let begin: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    this.#queue.add(begin);
    if (this.#queue.size === 1) begin();
    try {
      await within(begun, this.#task, limits);
      // A claim that was opened meanwhile has the room, until it is committed or aborted.
      const look = () => (this.#appender.busy ? undefined : this.#appender.flow.looking(tryToSend));
      const sent = await waitUntil(look, this.#task, limits, this.#strategy, this.#sleeper);
      this.#stopwatch.since(beganAt);
      return sent;
    } finally {
      const [first] = this.#queue;
      this.#queue.delete(begin);
      // Who gives up out of turn lets nobody pass those before it.
      const [next] = this.#queue;
      if (first === begin) next?.();
    }
  }
}
