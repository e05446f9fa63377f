/** What the other process of the trial is told to do. */
export type Order = 'ready' | 'waitSync';

/** What it says: once what it found; then, for each order, that it falls asleep, and how it was woken. */
export type Word =
  | { say: 'open'; read: string | undefined; status: string }
  | { say: 'asleep'; can: boolean }
  | { say: 'woken'; tookMs: number; slept: boolean }
  | { say: 'failed'; message: string };

/** Where it finds the channel: as an open file, since that has no name any more. */
export const CHANNEL_FD = 4;
