/**
 * Two processes and two channels: one sends a record and waits for it to come back, the other sends back what it
 * gets. Both look without a pause, which is what the shortest time takes.
 */
import { createHistogram } from 'node:perf_hooks';
import { Reader, Writer } from 'millrace';
import { leave, settings } from './child.js';
import { tellParent, turn } from './shared.js';

const PAYLOAD = Buffer.alloc(64, 'x');
const WARM_UP_MS = 300;
/** How long a process may go without looking at its messages. */
const BUSY_MS = 5;
/** Long: on a machine with much else to do it takes a while until the other one gets its turn. */
const GIVE_UP_MS = 60_000;

const [mine, other] = settings.asks ? ['there', 'back'] : ['back', 'there'];
const writer = await Writer.create(`${settings.directory}/${mine}`, { capacity: '64KiB' });
const reader = await Reader.open(`${settings.directory}/${other}`, {
  wait: true,
  timeoutMs: GIVE_UP_MS,
  from: 'oldest',
  gate: true,
  idle: 'spin',
});

if (settings.asks) await ask();
else await answer();

async function ask() {
  const histogram = createHistogram();
  const began = performance.now();
  let sent = began;
  let turned = began;
  const ignore = () => {};
  while (sent - began < WARM_UP_MS + settings.measureMs || histogram.count === 0) {
    writer.write(PAYLOAD);
    while (reader.poll(ignore) === 0) {
      if (performance.now() - sent > GIVE_UP_MS) throw new Error('No answer came back');
    }
    const back = performance.now();
    if (sent - began >= WARM_UP_MS) histogram.record(Math.max(1, Math.round((back - sent) * 1e6)));
    if (back - turned >= BUSY_MS) {
      await turn();
      turned = performance.now();
      sent = turned;
    } else {
      sent = back;
    }
  }
  writer.close();
  tellParent({ trips: histogram.count, p50: histogram.percentile(50), p99: histogram.percentile(99) });
  leave();
}

async function answer() {
  const send = (/** @type {Buffer} */ bytes, /** @type {number} */ start, /** @type {number} */ end) => {
    writer.write(bytes.subarray(start, end));
  };
  while (!reader.ended) {
    const until = performance.now() + BUSY_MS;
    while (performance.now() < until) reader.poll(send);
    await turn();
  }
  leave();
}
