// node run.js [words of trial names …] [--pairs 20] [--ms 80] [--cpus 0,1] [--list]
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { workingFolder } from './harness/folder.js';
import { describeMachine } from './harness/machine.js';
import { Probe } from './harness/probe.js';
import { lines, summarize } from './harness/report.js';
import { Side } from './harness/side.js';
import { alternate } from './harness/turns.js';
import { trials } from './trials/pairs.js';

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    pairs: { type: 'string', default: '20' },
    ms: { type: 'string', default: '80' },
    cpus: { type: 'string', default: '0,1' },
    list: { type: 'boolean' },
  },
});

const chosen = trials.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));

if (options.list || chosen.length === 0) {
  for (const { name } of trials) console.log(name);
  process.exit(options.list ? 0 : 2);
}

const cpus = options.cpus.split(',').map(Number);
const folder = workingFolder(process.platform === 'linux' ? '/dev/shm' : tmpdir());
const machine = describeMachine(folder);
const probe = await Probe.start(cpus);
const results = [];

console.log(Object.values(machine).join(' | '));
for (const trial of chosen) results.push(await runTrial(trial));
await probe.end();
save();

async function runTrial({ name, size, batch, pairs }) {
  console.log(`\n${name}`);
  const comparisons = [];
  for (const [base, contender] of pairs(folder)) {
    const comparison = await compare(base, contender);
    comparisons.push(comparison);
    console.log((comparison.absent ? [absence(comparison)] : lines(comparison, base.kind)).join('\n'));
  }
  return { trial: name, size, batch, comparisons };
}

async function compare(base, contender) {
  const names = { base: base.name, contender: contender.name };
  const started = [];
  try {
    for (const description of [base, contender]) started.push(await Side.start(description, cpus));
  } catch (error) {
    await Promise.all(started.map((side) => side.end()));
    return { ...names, absent: error.message };
  }
  const [baseSide, contenderSide] = started;
  try {
    const measured = await alternate(probe, baseSide, contenderSide, {
      pairs: Number(options.pairs),
      ms: Number(options.ms),
      progress,
    });
    return { ...names, summary: summarize(measured), pairs: measured.map(compact) };
  } finally {
    await Promise.all(started.map((side) => side.end()));
  }
}

function compact({ probes, alone, dropped, ratio, base, contender }) {
  return { probes, alone, dropped, ratio, base: base.perSecond, contender: contender.perSecond };
}

function absence({ base, contender, absent }) {
  return `  ${contender} / ${base}: absent, ${absent.split('\n').at(-1)}`;
}

function progress(done, all) {
  if (process.stderr.isTTY) process.stderr.write(done < all ? `\r  ${done}/${all}` : '\r          \r');
}

function save() {
  const into = new URL('./results/', import.meta.url);
  mkdirSync(into, { recursive: true });
  const file = new URL(`${chosen.length === 1 ? chosen[0].name.replaceAll(' ', '-') : 'channel'}.json`, into);
  const when = new Date().toISOString();
  writeFileSync(
    file,
    `${JSON.stringify({ when, machine, options: { ...options, cpus }, results }, null, 1)}\n`,
  );
  console.log(`\n${file.pathname.split('/').slice(-3).join('/')}`);
}
