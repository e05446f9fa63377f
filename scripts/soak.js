// The long form of the tests, with the same fixtures:
//
//   npm run soak -- --kills 500 --readers 100 --threads 100 --opens 10000 --mutations 100000 --seed 1
//   npm run soak -- --fuzz 1000 --ordering 20000      (a part alone: --only fuzz)
//   npm run soak -- --log-kills 500 --shared-kills 500
//   npm run soak -- --slots 1000
//   npm run soak -- --parks 1000000
//   npm run soak -- --power 2000 --log-power 2000
//   npm run soak -- --flips 0 --truncations 0         (0: all there are)
//   npm run soak -- --log-flips 0 --log-truncations 0
//   npm run soak -- --log-flips 0 --share 2/4         (its second quarter; of what is damaged case by case)
//   npm run soak -- --explore                         (takes no count: all states of the protocol)
//
// A part is a module in test/soak/parts: `option` names its count on the command line, `run` does it. Prints what each
// part did, and closes with one line of all counts. Exits with 1 if anything failed.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const PARTS = new URL('../test/soak/parts/', import.meta.url);
const parts = new Map();
for (const file of readdirSync(PARTS).sort()) {
  parts.set(file.replace('.js', ''), await import(new URL(file, PARTS).href));
}

const counts = Object.fromEntries(
  [...parts.values()].map(({ option, takesCount }) => [
    option,
    { type: takesCount === false ? 'boolean' : 'string' },
  ]),
);
const { values } = parseArgs({
  options: {
    ...counts,
    seed: { type: 'string' },
    share: { type: 'string' },
    only: { type: 'string', multiple: true },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(`${listOfParts()}\n--seed N, --share I/OF, --only PART: as the head of this file says`);
  process.exit();
}
const seed = wholeNumber('seed', values.seed ?? String(Math.floor(Math.random() * 2 ** 31)));
const share = shareOf(values.share ?? '1/1');
for (const name of values.only ?? []) {
  if (!parts.has(name)) stop(`There is no part '${name}'; there are ${[...parts.keys()].join(', ')}`);
}
const chosen = [...parts].filter(([name, { option }]) =>
  values.only === undefined ? values[option] !== undefined : values.only.includes(name),
);
if (chosen.length === 0) stop(`Say what to do:\n${listOfParts()}`);

// Children and helpers look for it under this name, as in the tests.
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const directory = mkdtempSync(join(base, `millrace-test-${process.pid}-`));
process.env.MILLRACE_TEST_DIRECTORY = directory;
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const begin = performance.now();
const totals = {};
let pieces = 0;
const failures = [];
console.log(`seed ${seed}`);
for (const [name, part] of chosen) {
  const count =
    part.takesCount === false ? undefined : wholeNumber(part.option, values[part.option] ?? '100');
  console.log(`== ${name}: ${count === undefined ? '' : `${count} `}${part.says}`);
  await part.run({ count, seed, share, newPath, attempt: attemptsOf(name) });
}
const all = Object.entries(totals).map(([what, count]) => `${count} ${what}`);
const seconds = Math.round((performance.now() - begin) / 1000);
console.log(
  `soak: ${all.join(', ')}; ${pieces} pieces, ${failures.length} failed${failures.map((name) => ` (${name})`).join('')}; ` +
    `seed ${seed}, ${seconds} s`,
);
process.exit(failures.length > 0 ? 1 : 0);

function listOfParts() {
  return [...parts.values()]
    .map(({ option, takesCount, says }) => `--${option}${takesCount === false ? '' : ' N'}: ${says}`)
    .join('\n');
}

/** Runs one piece of a part: prints what came of it, and goes on after a failure. */
function attemptsOf(part) {
  let shown = performance.now();
  const attempt = async (label, work) => {
    const from = performance.now();
    try {
      const done = await work();
      for (const [what, count] of Object.entries(done ?? {})) {
        if (Number.isInteger(count)) add(`${what} of ${part}`, count);
      }
      const took = ((performance.now() - from) / 1000).toFixed(1);
      console.log(`${label}: ok, ${took} s${done === undefined ? '' : ` ${JSON.stringify(done)}`}`);
    } catch (error) {
      failures.push(`${part}, ${label}`);
      console.log(`${label}: FAILED\n${error.stack}`);
    }
    pieces++;
  };
  attempt.progress = (text) => {
    if (performance.now() - shown < 5000) return;
    shown = performance.now();
    console.log(`  ${text}`);
  };
  return attempt;
}

function add(what, count) {
  totals[what] = (totals[what] ?? 0) + count;
}

/** A path in a new directory of this run. */
function newPath() {
  mkdirSync(directory, { recursive: true });
  return join(mkdtempSync(join(directory, 'd-')), 'channel');
}

function wholeNumber(name, text) {
  if (/^\d+$/.test(text)) return Number(text);
  return stop(`--${name} must be a whole number, not '${text}'`);
}

function shareOf(text) {
  const [which, of] = text.split('/').map((part) => wholeNumber('share', part));
  return which >= 1 && which <= of ? [which, of] : stop(`--share must be such as 2/4, not '${text}'`);
}

function stop(message) {
  console.error(message);
  process.exit(2);
}
