/** An endless stream of transfers, the same in each run: what a leader would get from its users. */
const ACCOUNTS = 100;
const LARGEST = 500;

/** @returns {Generator<import('./accounts.js').Transfer, never>} */
export function* transfers() {
  const random = generator();
  for (;;) {
    const [from, to] = [random() % ACCOUNTS, random() % ACCOUNTS];
    yield { from: `account ${from}`, to: `account ${to}`, amount: 1 + (random() % LARGEST) };
  }
}

/** Marsaglia's xorshift with 32 bits. */
function generator() {
  let state = 2463534242;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
