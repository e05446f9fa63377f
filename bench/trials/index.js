import { checksums } from './checksums.js';
import { classic } from './classic.js';
import { commits } from './commits.js';
import { creation } from './creation.js';
import { fanOut } from './fan-out.js';
import { fixedRate } from './fixed-rate.js';
import { flood } from './flood.js';
import { latestValue } from './latest-value.js';
import { logAppend } from './log-append.js';
import { logCommit } from './log-commit.js';
import { logHop } from './log-hop.js';
import { logInterval } from './log-interval.js';
import { logMemory } from './log-memory.js';
import { logRead } from './log-read.js';
import { logSeek } from './log-seek.js';
import { logStalls } from './log-stalls.js';
import { memory } from './memory.js';
import { oneWay } from './one-way.js';
import { floorOneWay, floorReaders, floorRoundTrip } from './pairs.js';
import { parkedReaders } from './parked-readers.js';
import { roundtrip } from './roundtrip.js';
import { roundtripBusy } from './roundtrip-busy.js';
import { stalls } from './stalls.js';
import { waking } from './waking.js';

/**
 * All trials, in the order they run in. Each has
 *   name          words with dashes; its results are in results/<name>.json
 *   title, about  what is done, on which sides, and what the figures mean; `about` in markdown
 *   quick, full   its options in either set; one that has no `quick` is not in the quick set
 *   run({ folder, disk, cpus, node, probe, options, progress, signal }) resolves with its results, plain JSON.
 *                 Its processes are PinnedProcess, which an interruption ends; whatever else it starts, `signal` does
 *   rows(results)           the rows of its tables: { group?, name, figures, ratio?, bar?, samples?, note?, absent? }
 *   lines?(results)         for the terminal, where tables of the rows won't do
 *   distributions?(results) quantile curves: [{ title, unit, series: [{ name, quantiles: [[0.5, value], …] }] }]
 * Units are those of harness/units.js.
 */
export const trials = [
  floorRoundTrip,
  floorOneWay,
  roundtripBusy,
  oneWay,
  latestValue,
  roundtrip,
  classic,
  fanOut,
  fixedRate,
  flood,
  waking,
  parkedReaders,
  creation,
  memory,
  commits,
  stalls,
  checksums,
  floorReaders,
  logAppend,
  logInterval,
  logCommit,
  logRead,
  logSeek,
  logHop,
  logStalls,
  logMemory,
];
