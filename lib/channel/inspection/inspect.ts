import { resolve } from 'node:path';
import { binding } from '../../native.js';
import { aPath } from '../../options.js';
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
import { isOfThisBoot, type ReaderInfo, type Standing, writerStatus } from '../presence/index.js';
import { readersWithLag } from '../reading/index.js';
import { recoverable } from '../recovery/index.js';
import { environment } from '../runtime/index.js';

const TAIL = L.TAIL_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;

/** What a channel says of itself. */
export interface ChannelInfo {
  path: string;
  mode: 'ring' | 'linear';
  /** `alive` and `dead` are of the writer of an open channel; the others are final. */
  status: Standing;
  capacity: number;
  fileBytes: number;
  maxRecord: number;
  timestamps: boolean;
  readerSlots: number;
  readers: ReaderInfo[];
  basePosition: number;
  /** Up to where the writer has published: at or below the true end while it lives. Of a dead one, the true end. */
  tail: number;
  records: number;
  limit: number;
  /** Up to where it is on its disk; where it begins, until something was synced. */
  durable: number;
  /** When it is synced, and whether its records carry checksums. */
  sync: Sync;
  checksum: 'none' | 'crc32c';
  finalPosition: number | undefined;
  writerPid: number;
  heartbeatMs: number;
  /** How long ago the last heartbeat was; undefined after a restart of the machine. */
  heartbeatAgeMs: number | undefined;
  stalledAfterMs: number;
  refusals: number;
  evictions: number;
  resumes: number;
  channelId: string;
  incarnation: number;
  /** Microseconds since 1970. */
  created: number;
  sameBoot: boolean;
  metadata: Record<string, unknown>;
}

/** Looks at a channel without registering, locking or changing anything. */
export function inspect(path: string): ChannelInfo {
  const channel = openMapped(resolve(aPath(path)), 'read');
  try {
    const { words, header, bytes } = channel;
    const status = writerStatus(channel);
    const isEnded = status !== 'alive' && status !== 'dead';
    const sameBoot = isOfThisBoot(channel);
    const end = (status === 'dead' && sameBoot ? recoverable(channel) : undefined) ?? published(channel);
    const sinceBeat = (environment.bootMs() - words[L.HEARTBEAT_OFFSET >> 2]) | 0;
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
      heartbeatAgeMs: sameBoot ? Math.max(0, sinceBeat) : undefined,
      stalledAfterMs: header.stalledAfterMs,
      refusals: words[L.REFUSALS_OFFSET >> 2],
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
