import * as sides from './sides.js';

// Each trial: what is measured, and pairs [base, contender] of side descriptions, made when the trial starts.
// The contender's rate is given as a ratio of the base's.

const IDLES = [
  ['spin', 'eager'],
  ['adaptive', 'adaptive'],
];

const HOW_BATCH = { 'by-one': 1, 'by-claim': 1, 'by-batch': 16 };

function oneWay(size, how) {
  const batch = HOW_BATCH[how];
  return {
    name: `one-way ${size} ${how}`,
    size,
    batch,
    pairs: (folder) => [
      ...IDLES.map(([ours, floor]) => [
        sides.cOneWay(folder, size, batch, floor),
        sides.millraceOneWay(folder, size, how, ours),
      ]),
      [sides.shmRingOneWay(folder, size, batch), sides.millraceOneWay(folder, size, how, 'adaptive')],
    ],
  };
}

function roundTrip(size) {
  return {
    name: `round-trip ${size}`,
    size,
    batch: 1,
    pairs: (folder) => [
      ...IDLES.map(([ours, floor]) => [
        sides.cRoundTrip(folder, size, floor),
        sides.millraceRoundTrip(folder, size, ours),
      ]),
      [sides.shmRingRoundTrip(folder, size), sides.millraceRoundTrip(folder, size, 'adaptive')],
    ],
  };
}

function floor() {
  return {
    name: 'floor',
    size: 64,
    batch: 1,
    pairs: (folder) => [
      [sides.cOneWay(folder, 64, 1, 'eager'), sides.cOneWay(folder, 64, 1, 'adaptive')],
      [sides.cOneWay(folder, 64, 1, 'eager'), sides.cOneWay(folder, 64, 1, 'steady:300')],
      [sides.cOneWay(folder, 64, 1, 'adaptive'), sides.cOneWay(folder, 64, 1, 'skipping:100:2000:64')],
      [sides.cOneWay(folder, 64, 1, 'adaptive'), sides.shmRingOneWay(folder, 64, 1)],
      [sides.cRoundTrip(folder, 64, 'eager'), sides.cRoundTrip(folder, 64, 'adaptive')],
      [sides.cRoundTrip(folder, 64, 'eager'), sides.shmRingRoundTrip(folder, 64)],
    ],
  };
}

export const trials = [
  ...[64, 1024].flatMap((size) => ['by-one', 'by-claim', 'by-batch'].map((how) => oneWay(size, how))),
  roundTrip(64),
  floor(),
];
