/** Keeps its accounts equal to the leader's: from a snapshot on, and then by the channel. */
import { inspect, json, Reader } from 'millrace';
import { directory, given, nextMessage, tell } from '../shared/child.js';
import { channelIn } from './channel.js';
import { loadSnapshot } from './snapshot.js';

/** For how long a follower that stands still may hold the leader back. */
const EVICT_AFTER_MS = 100;
const STALL_AFTER = 1000;

const path = channelIn(directory);
const [name, habit] = given;
let mayStall = habit === 'stalls';

for (;;) {
  try {
    const { transfers, hash } = await follow();
    tell({ state: 'ended', name, transfers, hash });
    break;
  } catch (error) {
    // Evicted while it stood still; or what the snapshot leads to was overwritten before it could be opened.
    if (error.code !== 'ERR_EVICTED' && error.code !== 'ERR_OVERTAKEN') throw error;
    console.log(`${name}: fell out with ${error.code}, and begins again with the newest snapshot`);
  }
}

/** From the newest snapshot to the end of the stream. */
async function follow() {
  const { accounts, position, channelId } = loadSnapshot(directory);
  if (inspect(path).channelId !== channelId) throw new Error('The snapshot is of another channel');
  const reader = await Reader.open(path, {
    name,
    from: position,
    gate: { evictAfterMs: EVICT_AFTER_MS },
    codec: json,
  });
  try {
    console.log(`${name}: has the snapshot after transfer ${accounts.transfers}, and follows from there`);
    tell({ state: 'following', position });
    let followed = 0;
    for await (const { value } of reader) {
      accounts.apply(value);
      followed++;
      if (mayStall && followed === STALL_AFTER) await stall(reader.position, accounts.transfers);
    }
    console.log(`${name}: took ${followed} transfers from the channel`);
    return { transfers: accounts.transfers, hash: accounts.hash() };
  } finally {
    reader.close();
  }
}

/** Until main.js says that it is enough. */
async function stall(position, transfers) {
  mayStall = false;
  console.log(`${name}: stands still after transfer ${transfers}`);
  tell({ state: 'standing', position });
  await nextMessage();
}
