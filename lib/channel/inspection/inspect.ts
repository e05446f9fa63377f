import { binding } from '../../native.js';
import {
  loadPosition,
  loadSplit,
  type Mapped,
  openMapped,
  type Place,
  type Sync,
  showSync,
} from '../file/index.js';
import * as L from '../layout.js';
import { isOfThisBoot, lastBeat, type ReaderInfo, type Standing, writerStatus } from '../presence/index.js';
import { readersWithLag } from '../reading/index.js';
import { recoverable } from '../recovery/index.js';
import { absolutePath, environment } from '../runtime/index.js';

const TAIL = L.TAIL_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;

/** What a channel says of itself. */
export interface ChannelInfo {
  path: string;
  mode: 'ring' | 'linear';
  /** `alive` and `dead` are of the writer of an open channel; the others are final. */
  status: Standing;
  /** Bytes for records, headers counted. */
  capacity: number;
  /** Size of the file. */
  fileBytes: number;
  /** The largest payload. */
  maxRecord: number;
  /** Whether each record carries a time and a tag. */
  timestamps: boolean;
  /** How many readers may register. */
  readerSlots: number;
  /** Those that have. */
  readers: ReaderInfo[];
  /** Where the stream begins. */
  basePosition: number;
  /** Up to where the writer has published: at or below the true end while it lives. Of a dead one, the true end. */
  tail: number;
  /** Records up to there. */
  records: number;
  /** What the writer may overwrite: in a ring, everything below `limit - capacity`. */
  limit: number;
  /** Up to where it is on its disk; where it begins, until something was synced. */
  durable: number;
  /** When it is synced. */
  sync: Sync;
  /** Whether its records carry checksums. */
  checksum: 'none' | 'crc32c';
  /** The end; undefined while the channel is open. */
  finalPosition: number | undefined;
  /** Of the last writer, in its pid namespace. */
  writerPid: number;
  heartbeatMs: number;
  /** How long ago the last heartbeat was; undefined after a restart of the machine. */
  heartbeatAgeMs: number | undefined;
  stalledAfterMs: number;
  /** How often readers held the writer back, as of its last heartbeat. */
  refusals: number;
  /** How many readers it evicted, as of then. */
  evictions: number;
  /** How many writers went on with it. */
  resumes: number;
  /** Tells it from another channel under the same path. */
  channelId: string;
  /** Random, as the `channelId` is. */
  incarnation: number;
  /** Microseconds since 1970. */
  created: number;
  /** Whether the machine has not been restarted since its writer ran. */
  sameBoot: boolean;
  metadata: Record<string, unknown>;
}

/** Looks at a channel without registering, locking or changing anything. */
export function inspect(path: string): ChannelInfo {
  const channel = openMapped(absolutePath(path), 'read');
  try {
    const { words, header, bytes } = channel;
    const status = writerStatus(channel);
    const isEnded = status !== 'alive' && status !== 'dead';
    const sameBoot = isOfThisBoot(channel);
    const end = (status === 'dead' && sameBoot ? recoverable(channel) : undefined) ?? published(channel);
    // In this order: a beat in between would be one that is to come.
    const beat = lastBeat(channel);
    const sinceBeat = (environment.bootMs() - beat) >>> 0;
    return {
      path: channel.path,
      mode: header.mode,
      status,
      capacity: header.capacity,
      fileBytes: bytes.length,
      maxRecord: header.maxRecord,
      timestamps: header.frameHeader === L.FRAME_HEADER_EXTENDED,
      readerSlots: header.readerSlots,
      readers: readersWithLag(channel),
      basePosition: header.basePosition,
      tail: end.position,
      records: end.record - header.baseRecord,
      limit: loadPosition(words, L.LIMIT_OFFSET >> 2),
      durable: Math.max(header.basePosition, loadPosition(words, L.DURABLE_OFFSET >> 2)),
      sync: showSync(header.sync),
      checksum: header.checksums ? 'crc32c' : 'none',
      finalPosition: isEnded ? loadPosition(words, L.FINAL_POSITION_OFFSET >> 2) : undefined,
      writerPid: words[L.WRITER_PID_OFFSET >> 2],
      heartbeatMs: header.heartbeatMs,
      heartbeatAgeMs: sameBoot ? sinceBeat : undefined,
      stalledAfterMs: header.stalledAfterMs,
      refusals: words[L.REFUSALS_OFFSET >> 2] >>> 0,
      evictions: words[L.EVICTIONS_OFFSET >> 2],
      resumes: words[L.RESUMES_OFFSET >> 2],
      channelId: header.channelId.toString('hex'),
      incarnation: header.incarnation >>> 0,
      created: header.createdUs,
      sameBoot,
      metadata: header.metadata,
    };
  } finally {
    binding().closeFile(channel.file);
  }
}

function published({ words }: Mapped): Place {
  return { position: loadPosition(words, TAIL), record: loadSplit(words, RECORD_COUNT) };
}
