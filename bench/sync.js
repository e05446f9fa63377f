// node sync.js [commits] [stalls] [checksums] [--dir FOLDER] [--turns 40] [--ms 200] [--seconds 60]
//              [--passes 30] [--cpus 0,1] [--node=FLAG]
// FLAG is for the node that writes in `stalls`, such as --node=--single-threaded-gc.
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { workingFolder } from './harness/folder.js';
import { describeLoad, showLoad } from './harness/load.js';
import { describeMachine } from './harness/machine.js';
import { checksums } from './trials/checksums.js';
import { commits } from './trials/commits.js';
import { stalls } from './trials/stalls.js';

const trials = [commits, stalls, checksums];

const { values: given, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: 'string', default: tmpdir() },
    turns: { type: 'string', default: '40' },
    ms: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '60' },
    passes: { type: 'string', default: '30' },
    cpus: { type: 'string', default: '0,1' },
    node: { type: 'string', multiple: true, default: [] },
  },
});

const { dir, cpus, node, ...numbers } = given;
const options = Object.fromEntries(Object.entries(numbers).map(([name, text]) => [name, Number(text)]));
const chosen = trials.filter(({ name }) => words.length === 0 || words.includes(name));

if (chosen.length === 0 || Object.values(options).some((value) => !(value > 0))) {
  console.error(`node sync.js [${trials.map(({ name }) => name).join('] [')}] [--dir FOLDER] …`);
  process.exit(2);
}

const folder = workingFolder(dir);
const memoryFolder = workingFolder('/dev/shm');

for (const trial of chosen) {
  const machine = describeMachine(trial.places.includes('disk') ? folder : memoryFolder);
  const load = { before: describeLoad() };
  console.log(`${trial.name}\n  ${Object.values(machine).join(' | ')}\n  ${showLoad(load.before)}`);
  const results = await trial.run({ folder, memoryFolder, cpus, node, options });
  load.after = describeLoad();
  console.log([...trial.lines(results), `  ${showLoad(load.after)}`].join('\n'));
  const flags = trial.name === 'stalls' ? node : [];
  save([trial.name, ...flags.map((flag) => flag.replace(/^-+/, ''))].join('-'), {
    machine,
    load,
    options: { dir, cpus, node, ...options },
    results,
  });
}

function save(name, measured) {
  const into = new URL('./results/', import.meta.url);
  mkdirSync(into, { recursive: true });
  const file = new URL(`sync-${name}.json`, into);
  writeFileSync(file, `${JSON.stringify({ when: new Date().toISOString(), ...measured }, null, 1)}\n`);
  console.log(`  ${file.pathname.split('/').slice(-3).join('/')}\n`);
}
