import { compare, SHARED } from '../harness/comparison.js';
import { sum } from '../harness/figures.js';
import { parts } from '../harness/progress.js';
import * as sides from './sides.js';

// Trials that let two sides at a time take turns, with the distance of the cpus looked at between them.

const IDLES = [
  ['spin', 'eager'],
  ['adaptive', 'adaptive'],
];

const HOWS = {
  'by-one': { batch: 1, title: 'by one' },
  'by-claim': { batch: 1, title: 'by claim' },
  'by-batch': { batch: 16, title: 'batches of 16' },
};

const METHOD = `Records carry a running number; counts and sums of both ends must agree. Rings of 8 MiB, one reader, which
holds the writer back. An *eager* reader looks again at once (\`idle: 'spin'\`); one that *backs off* (\`idle: 'adaptive'\`)
stays away for a moment after an empty look. The two that are compared take turns, and the distance of the cpus is looked
at before, between and after; pairs are told apart by it, and dropped where it changed, or where a process had less than
95 % of its cpu. *Shared cores*: somebody else used the other half of a core.`;

function oneWay(folder, size, how) {
  const { batch, title } = HOWS[how];
  const described = { group: `${size} bytes, ${title}`, size, batch };
  const ours = (idle) => sides.millraceOneWay(folder, size, how, idle);
  return [
    ...IDLES.map(([idle, floor]) => ({
      ...described,
      base: sides.cOneWay(folder, size, batch, floor),
      contender: ours(idle),
    })),
    { ...described, base: sides.shmRingOneWay(folder, size, batch), contender: ours('adaptive'), bar: 1 },
  ];
}

function roundTrip(folder, size) {
  const described = { group: `${size} bytes`, size, batch: 1 };
  const ours = (idle) => sides.millraceRoundTrip(folder, size, idle);
  return [
    ...IDLES.map(([idle, floor]) => ({
      ...described,
      base: sides.cRoundTrip(folder, size, floor),
      contender: ours(idle),
    })),
    { ...described, base: sides.shmRingRoundTrip(folder, size), contender: ours('adaptive'), bar: 1 },
  ];
}

const SIZE_OF_FLOOR = 64;
/** Of fewer pairs a median is one or two of them. */
const FEWEST_JUDGED = 5;

function amongThemselves(folder) {
  const one = (idle) => sides.cOneWay(folder, SIZE_OF_FLOOR, 1, idle);
  const trip = (idle) => sides.cRoundTrip(folder, SIZE_OF_FLOOR, idle);
  const pairs = (group, ...bothOf) =>
    bothOf.map(([base, contender]) => ({ group, size: SIZE_OF_FLOOR, batch: 1, base, contender }));
  return [
    ...pairs(
      'one way',
      [one('eager'), one('adaptive')],
      [one('eager'), one('steady:300')],
      [one('adaptive'), one('skipping:100:2000:64')],
      [one('adaptive'), sides.shmRingOneWay(folder, SIZE_OF_FLOOR, 1)],
    ),
    ...pairs(
      'round trip',
      [trip('eager'), trip('adaptive')],
      [trip('eager'), sides.shmRingRoundTrip(folder, SIZE_OF_FLOOR)],
    ),
  ];
}

export const floorOneWay = trialOfPairs({
  name: 'floor-one-way',
  title: 'One way, beside C over the same file layout',
  about: `The writer copies one source buffer into the channel, as fast as the reader takes it. The yardstick is the same
frame protocol over the same file in C. ${METHOD}`,
  quick: { pairs: 2, ms: 30, sizes: [64], hows: 'by-one' },
  full: { pairs: 20, ms: 80, sizes: [64, 1024], hows: 'by-one, by-claim, by-batch' },
  comparisons: (folder, { sizes, hows }) =>
    sizes.flatMap((size) => hows.split(', ').flatMap((how) => oneWay(folder, size, how))),
});

export const floorRoundTrip = trialOfPairs({
  name: 'floor-round-trip',
  title: 'Round trips of two that poll, beside C',
  about: `Two channels; the other end answers each record with one of the same number. Neither end does anything but
poll. ${METHOD}`,
  quick: { pairs: 2, ms: 30, sizes: [64] },
  full: { pairs: 20, ms: 80, sizes: [64] },
  comparisons: (folder, { sizes }) => sizes.flatMap((size) => roundTrip(folder, size)),
});

export const floorReaders = trialOfPairs({
  name: 'floor-readers',
  title: 'Ways of reading, in C',
  about: `What an eager reader costs its writer, and what staying away for a while is worth, without JavaScript.
*steady*: always the same number of pauses; *skipping*: counts calls instead of pausing. ${METHOD}`,
  full: { pairs: 20, ms: 80 },
  comparisons: amongThemselves,
});

function trialOfPairs({ comparisons, ...described }) {
  return {
    ...described,
    async run({ folder, cpus, probe, options, progress }) {
      const all = comparisons(folder, options);
      const each = parts(
        progress,
        all.map(() => 1),
      );
      const done = [];
      for (const [i, { base, contender, ...facts }] of all.entries()) {
        const taken = { pairs: options.pairs, ms: options.ms, progress: each[i] };
        const compared = await compare({ base, contender }, cpus, probe, taken);
        each[i](1, 1);
        done.push({
          ...facts,
          kind: base.kind,
          base: base.name,
          contender: contender.name,
          ...compared,
        });
      }
      return { comparisons: done };
    },
    rows: (results) => results.comparisons.flatMap(rowsOf),
  };
}

function rowsOf({ group, kind, base, contender, absent, summary, bar }) {
  if (absent !== undefined) return [{ group, name: `${contender}, beside ${base}`, absent }];
  const dropped = sum(Object.values(summary.dropped));
  const counted = `of ${summary.measured} pairs${dropped > 0 ? `, ${dropped} dropped` : ''}`;
  if (Object.keys(summary.groups).length === 0) {
    return [{ group, name: `${contender}, beside ${base}`, absent: `nothing to report ${counted}` }];
  }
  const judged = judgedAmong(Object.keys(summary.groups));
  return Object.entries(summary.groups).flatMap(([placement, own]) => {
    const ratio = kind === 'round-trip' ? inverse(own.ratio) : own.ratio;
    const where = `${group}, ${placement}`;
    return [
      { group: where, name: base, ...sideOf(own.base, kind) },
      {
        group: where,
        name: contender,
        ...sideOf(own.contender, kind),
        ratio: { to: base, what: kind === 'round-trip' ? 'time' : 'rate', ...ratio },
        bar:
          bar !== undefined && judged(placement)
            ? judge(bar, { kind, base, placement, pairs: own.pairs, median: ratio.median })
            : undefined,
        note: `${own.pairs} ${counted}`,
      },
    ];
  });
}

/** Pairs that shared their cores are judged only where there are no others, and then nothing can be said. */
function judgedAmong(placements) {
  const alone = placements.filter((placement) => !placement.endsWith(SHARED));
  return (placement) => alone.length === 0 || alone.includes(placement);
}

function judge(bar, { kind, base, placement, pairs, median }) {
  const text = kind === 'round-trip' ? `no longer than ${base}'s` : `no less than ${base}'s`;
  if (placement.endsWith(SHARED)) return { text, met: undefined, why: 'cores were shared' };
  if (pairs < FEWEST_JUDGED) return { text, met: undefined, why: `${pairs} of the pairs only` };
  return { text, met: kind === 'round-trip' ? median <= bar : median >= bar, limit: bar };
}

function sideOf({ perSecond, samples, cpu, heapMiB, rssMiB }, kind) {
  const [heap] = heapMiB;
  return {
    figures: {
      ...(kind === 'round-trip'
        ? { 'round trip': { unit: 's', ...inverse(perSecond) } }
        : { records: { unit: '/s', ...perSecond } }),
      'cpu of the front': { unit: 'share', median: cpu.front },
      'cpu of the back': { unit: 'share', median: cpu.back },
      ...(heap !== null && { 'heap of the front': { unit: 'MiB', median: heap } }),
      'rss of the front': { unit: 'MiB', median: rssMiB[0] },
    },
    samples,
  };
}

function inverse({ median, p10, p90 }) {
  return { median: 1 / median, p10: 1 / p90, p90: 1 / p10 };
}
