import { closedHandle, MillraceError } from '../../errors.js';
import type { Mapped } from '../file/index.js';
import { listReaders } from '../presence/index.js';
import { type Appender, Refusal } from '../writing/index.js';

/** Why what takes `size` bytes was not written, in words. */
export function refused(channel: Mapped, appender: Appender, refusal: number, size: number): MillraceError {
  const { path } = channel;
  switch (refusal) {
    case Refusal.BACK_PRESSURE:
      return heldBack(channel, appender);
    case Refusal.FULL: {
      const { remaining } = appender;
      return new MillraceError(
        'ERR_CHANNEL_FULL',
        `${path} is full: ${remaining} bytes are left, headers counted, for ${size}`,
        { path, size, remaining },
      );
    }
    case Refusal.TOO_LARGE:
      return appender.sizes.recordTooLarge(size);
    default:
      return appender.stopped?.() ?? closedHandle('writer', path);
  }
}

function heldBack(channel: Mapped, { lastRefusal, position }: Appender): MillraceError {
  const { path, header } = channel;
  const inTheWay = lastRefusal.inTheWayBelow(position, header.capacity);
  const readers = listReaders(channel).filter(
    ({ state, position }) => state === 'gating' && position < inTheWay,
  );
  const who = readers.map(({ name, pid }) => `${name || 'unnamed'} (pid ${pid})`).join(', ');
  return new MillraceError(
    'ERR_BACK_PRESSURE',
    `Readers of ${path} hold the writer back: ${who}. Wait for room by ready() or send()`,
    { path, readers },
  );
}
