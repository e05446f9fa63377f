// node crossing.js [waking] [roundtrip] [flood] [parked-readers] [--turns 20] [--ms 80] [--seconds 10]
//                  [--records 10000000] [--cpus 0,1] [--node=FLAG]
// FLAG is for the processes that read and write, such as --node=--single-threaded-gc.
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { workingFolder } from './harness/folder.js';
import { Surroundings, showSurroundings } from './harness/load.js';
import { describeMachine } from './harness/machine.js';
import { Probe } from './harness/probe.js';
import { describeProbes, showProbes } from './harness/rounds.js';
import { flood } from './trials/flood.js';
import { parkedReaders } from './trials/parked-readers.js';
import { roundtrip } from './trials/roundtrip.js';
import { waking } from './trials/waking.js';

const trials = [waking, roundtrip, flood, parkedReaders];

const { values: given, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { type: 'string', default: '20' },
    ms: { type: 'string', default: '80' },
    seconds: { type: 'string', default: '10' },
    records: { type: 'string', default: '10000000' },
    cpus: { type: 'string', default: '0,1' },
    node: { type: 'string', multiple: true, default: [] },
  },
});

const { node, ...numbers } = given;
const cpus = given.cpus.split(',').map(Number);
const options = Object.fromEntries(
  Object.entries(numbers).flatMap(([name, text]) => (name === 'cpus' ? [] : [[name, Number(text)]])),
);
const chosen = trials.filter(({ name }) => words.length === 0 || words.includes(name));

if (chosen.length === 0 || cpus.length !== 2 || Object.values(options).some((value) => !(value > 0))) {
  console.error(`node crossing.js [${trials.map(({ name }) => name).join('] [')}] …`);
  process.exit(2);
}

const folder = workingFolder('/dev/shm');
const machine = describeMachine(folder);
const probe = await Probe.start(cpus);

for (const trial of chosen) {
  const surroundings = new Surroundings();
  console.log(`${trial.name}\n  ${Object.values(machine).join(' | ')}\n  ${surroundings.before}`);
  const results = await trial.run({ folder, cpus, node, probe, options, progress });
  const load = surroundings.end();
  const placement = describeProbes(results.rounds);
  console.log(
    [
      ...trial.lines(results),
      ...(placement ? [`  ${showProbes(placement)}`] : []),
      `  ${showSurroundings(load)}`,
    ].join('\n'),
  );
  save([trial.name, ...node.map((flag) => flag.replace(/^-+/, ''))].join('-'), {
    machine,
    load,
    placement,
    options: { cpus, node, ...options },
    results,
  });
}
await probe.end();

function progress(done, all) {
  if (process.stderr.isTTY) process.stderr.write(done < all ? `\r  ${done}/${all}` : '\r          \r');
}

function save(name, measured) {
  const into = new URL('./results/', import.meta.url);
  mkdirSync(into, { recursive: true });
  const file = new URL(`crossing-${name}.json`, into);
  writeFileSync(file, `${JSON.stringify({ when: new Date().toISOString(), ...measured }, null, 1)}\n`);
  console.log(`  ${file.pathname.split('/').slice(-3).join('/')}\n`);
}
