// What JavaScript needs for the copy alone, without a channel: the floor of every write that copies its record.
//
//   node floor/bare-copy.js
//
// Nanoseconds a record of 64 and of 1024 bytes, and the rate that this would be: best and median of many short runs.
const RECORDS_A_RUN = 20_000;
const RUNS = 400;
const SPAN = 1 << 20;

const ways = {
  'TypedArray.set': (size) => {
    const target = Buffer.alloc(SPAN + size);
    const source = new Uint8Array(size);
    return () => {
      let at = 0;
      for (let i = 0; i < RECORDS_A_RUN; i++) {
        source[0] = i;
        target.set(source, at);
        at = (at + size + 16) & (SPAN - 1);
      }
    };
  },
  'a loop over 32-bit words': (size) => {
    const target = new Int32Array((SPAN + size) >> 2);
    const source = new Int32Array(size >> 2);
    return () => {
      let at = 0;
      for (let i = 0; i < RECORDS_A_RUN; i++) {
        source[0] = i;
        const word = at >> 2;
        for (let k = 0; k < source.length; k++) target[word + k] = source[k];
        at = (at + size + 16) & (SPAN - 1);
      }
    };
  },
};

console.log(process.version);
for (const size of [64, 1024]) {
  for (const [name, make] of Object.entries(ways)) {
    const run = make(size);
    const ns = [];
    for (let i = 0; i < RUNS; i++) {
      const begin = performance.now();
      run();
      ns.push(((performance.now() - begin) * 1e6) / RECORDS_A_RUN);
    }
    ns.sort((a, b) => a - b);
    const [best, median] = [ns[0], ns[RUNS >> 1]];
    const rate = (1000 / best).toFixed(1);
    console.log(
      `${name}, ${size} bytes: best ${best.toFixed(1)} ns (${rate} M/s), median ${median.toFixed(1)} ns`,
    );
  }
}
