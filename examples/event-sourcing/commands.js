/** What is asked of the warehouse: the same commands in each run. */
const ITEMS = 50;

/** @param {number} number @returns {import('./warehouse.js').Command} */
export function command(number) {
  const mixed = Math.imul(number + 1, 2654435761) >>> 0;
  const pieces = 1 + ((mixed >>> 8) % 20);
  return { item: `item ${mixed % ITEMS}`, pieces: (mixed >>> 16) % 2 === 0 ? pieces : -pieces };
}
