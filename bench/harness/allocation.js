import v8 from 'node:v8';

/**
 * What a process allocates: bytes of V8's heap, counted over all collections in between, and how many of these
 * there were. What lies outside of the heap, such as a Buffer's bytes, isn't in it.
 */
export class Allocation {
  #profiler = new v8.GCProfiler();
  #before;

  constructor() {
    this.#profiler.start();
    this.#before = used();
  }

  end() {
    const after = used();
    const { statistics } = this.#profiler.stop();
    let at = this.#before;
    let heapBytes = 0;
    for (const { beforeGC, afterGC } of statistics) {
      heapBytes += beforeGC.heapStatistics.usedHeapSize - at;
      at = afterGC.heapStatistics.usedHeapSize;
    }
    return {
      heapBytes: heapBytes + after - at,
      scavenges: statistics.filter(({ gcType }) => gcType === 'Scavenge').length,
      others: statistics.filter(({ gcType }) => gcType !== 'Scavenge').length,
      collectingMs: statistics.reduce((sum, { cost }) => sum + cost, 0) / 1000,
    };
  }
}

function used() {
  return v8.getHeapStatistics().used_heap_size;
}
