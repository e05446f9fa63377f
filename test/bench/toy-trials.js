// Trials that measure nothing, run as the real ones are: node toy-trials.js, and then what bench.js understands.
import { fileURLToPath } from 'node:url';
import { main } from '../../bench/harness/main.js';
import { PinnedProcess } from '../../bench/harness/process.js';

const child = fileURLToPath(new URL('./toy-child.js', import.meta.url));

const toy = (name, run) => ({
  name,
  title: `The trial ${name}`,
  about: 'Says what it is told, in `JSON`.',
  quick: { turns: 3 },
  full: { turns: 5 },
  run,
  rows: ({ values }) => [
    {
      group: 'a group',
      name: 'first',
      figures: { value: { unit: 'ns', median: values[0], p10: 1, p90: 9 } },
    },
    {
      group: 'a group',
      name: 'second',
      figures: { value: { unit: 'ns', median: values[1], p10: 1, p90: 9 } },
      ratio: { to: 'first', what: 'time', median: 2, p10: 1, p90: 3 },
      bar: { text: 'at most 1', met: false },
    },
    { group: 'a group', name: 'third', absent: 'it is <not> there' },
  ],
  distributions: () => [
    {
      title: 'values',
      unit: 'ns',
      series: [
        {
          name: 'first',
          quantiles: [
            [0.5, 3],
            [0.9, 5],
            [1, 9],
          ],
        },
      ],
    },
  ],
});

async function quick({ options, cpus, probe, progress }) {
  const side = new PinnedProcess(cpus[0], process.execPath, [child]);
  await side.hear();
  side.say('value');
  const { value } = await side.hear();
  await probe.look();
  progress(1, 1);
  await side.end();
  return { size: 8, batch: 1, values: [value, value * options.turns] };
}

async function failing() {
  throw new Error('it is broken');
}

/** As one that gives up on a process that says nothing. */
async function leaving({ cpus }) {
  const left = new PinnedProcess(cpus[0], process.execPath, [child, 'deaf']);
  const { pid } = await left.hear();
  throw new Error(`it left ${pid} behind`);
}

async function endless({ folder, disk, cpus }) {
  const side = new PinnedProcess(cpus[0], process.execPath, [child, 'parent']);
  const { pids } = await side.hear();
  console.log(`running ${JSON.stringify({ pids, folders: [folder, disk] })}`);
  await side.hear(600_000);
}

const trials = [
  toy('one', quick),
  toy('failing', failing),
  toy('leaving', leaving),
  toy('two', quick),
  toy('endless', endless),
  toy('three', quick),
  { ...toy('long', quick), quick: undefined, full: { hours: 1 } },
];

process.exitCode = await main(trials, process.argv.slice(2));
