/** What the processes of the demo have in common. */

/** A record: its number and 40 bytes that follow from it. With its header it takes 64 bytes of the stream. */
export const PAYLOAD_BYTES = 48;
export const FRAME_BYTES = 64;
export const NUMBER_BYTES = 8;

/**
 * The same clock in every process of a machine, so that times of one can be compared with times of another.
 * @returns {number} milliseconds
 */
export function now() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** @param {unknown} message */
export function tellParent(message) {
  if (process.connected) process.send?.(message);
}

/** @returns {Promise<void>} */
export function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}
