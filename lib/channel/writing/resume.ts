import { binding } from '../../native.js';
import { loadPosition, type Mapped, offsetAt, positionAt, refuseFailedSync, stampOf } from '../file/index.js';
import * as L from '../layout.js';
import { isOfThisBoot, isReleased, signAsReleased, signAsWriter } from '../presence/index.js';
import {
  damaged,
  heal,
  lockUnended,
  neverAgain,
  publishRecovered,
  type Recovered,
  recover,
  refuseUnhealable,
  type Start,
  setMissingMarks,
  storeEnd,
  sumUnflushed,
} from '../recovery/index.js';
import { disk, explain } from '../runtime/index.js';

const DURABLE = L.DURABLE_OFFSET >> 2;

/** What a writer that goes on with a channel found of it. */
export interface Recovery {
  /** What had died: the writer's process, which loses nothing, or the whole machine. */
  after: 'process' | 'machine';
  /** Where the stream ended, and how many records it had. */
  position: number;
  records: number;
  /** Bytes behind that, up to the last that held anything: what had not reached the disk whole, and is gone. */
  dropped: number;
}

export interface Resumed {
  channel: Mapped;
  recovered: Recovered & Start;
  recovery: Recovery;
  /** Whether its last writer had let go of it. */
  released: boolean;
}

/**
 * Takes over a channel from its dead writer; nothing that it committed, or had synced if the machine died, is lost. `check`
 * throws where it is not to be taken over.
 */
export async function resumeChannel(
  path: string,
  check: (channel: Mapped) => void = () => {},
): Promise<Resumed> {
  const channel = lockUnended(path);
  // step 40
  const released = isReleased(channel);
  try {
    check(channel);
    const ofThisBoot = isOfThisBoot(channel);
    if (!ofThisBoot) refuseUnhealable(channel);
    refuseFailedSync(channel);
    await reallocate(channel);
    const { recovered, dropped } = ofThisBoot ? await takeOver(channel) : await takeOverHealed(channel);
    if (recovered.ending !== undefined) {
      // It died between its last frame and saying so: finish for it.
      const state = recovered.ending === 'closed' ? L.STATE_CLOSED : L.STATE_SEALED;
      sumUnflushed(channel, recovered);
      storeEnd(channel, state, recovered.position);
      throw neverAgain(channel.path, recovered.ending);
    }
    channel.words[L.RESUMES_OFFSET >> 2]++;
    // step 45
    const { position, record } = recovered;
    const after = ofThisBoot ? 'process' : 'machine';
    return {
      channel,
      recovered,
      released,
      recovery: { after, position, records: record - channel.header.baseRecord, dropped },
    };
  } catch (error) {
    // Nobody's death is to be seen in it, where it was none before.
    if (released) signAsReleased(channel);
    binding().closeFile(channel.file);
    throw explain(error, channel.path, 'resume');
  }
}

async function takeOver(channel: Mapped) {
  const recovered = recover(channel);
  await fillIn(channel, recovered);
  // Nothing that counts has been changed so far, and now it lives: that is to be seen before what may take long.
  signAsWriter(channel);
  // What lies below is only read, if at all: a disk need not bring it in.
  const { mode } = channel.header;
  await binding().populateFile(channel.file, mode === 'ring' ? 0 : offsetAt(channel, recovered.position));
  // step 41
  const unmarked = setMissingMarks(channel, recovered.from, recovered.position);
  publishRecovered(channel, recovered);
  return { recovered: { ...recovered, unmarked }, dropped: 0 };
}

/** The checksums that the dead writer did not get to: who could not fill in those could not sync what it writes either. */
async function fillIn(channel: Mapped, { position }: Recovered): Promise<void> {
  const { file, words, header } = channel;
  if (header.mode === 'ring' || !header.checksums) return;
  const from = Math.max(header.basePosition, loadPosition(words, DURABLE));
  const [start, end] = [offsetAt(channel, from), offsetAt(channel, position)];
  if (start >= end) return;
  const stopped = await disk.flushFrames(file, start, end, stampOf(from), header.incarnation, false);
  if (stopped !== end) throw damaged(channel, positionAt(channel, stopped));
}

async function takeOverHealed(channel: Mapped) {
  await binding().populateFile(channel.file, 0);
  const { dropped, ...recovered } = await heal(channel);
  // Only now: a writer of this boot leaves a channel that needs no healing.
  signAsWriter(channel);
  return { recovered, dropped };
}

/** What was punched out of the file, by anyone, would end a writer by SIGBUS when the disk is full. */
async function reallocate(channel: Mapped): Promise<void> {
  try {
    await binding().allocateFile(channel.file);
  } catch (error) {
    throw explain(error, channel.path, 'resume', channel.bytes.length);
  }
}
