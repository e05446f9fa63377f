// Fuzzes the native code that reads the bytes of files, guided by coverage, under AddressSanitizer and
// UndefinedBehaviorSanitizer:
//
//   node scripts/fuzz-native.js [--seconds N] [--seed N]
//   node scripts/fuzz-native.js --input HEX         (once more what a run has found)
//
// Needs clang++ with libFuzzer. Closes with one line of counts. Exits with 1 if anything was found, its bytes
// printed in hexadecimal; with 2 if it could not begin.
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const SOURCES = ['test/fuzz/native/frames.cc', 'native/frames.cc', 'native/crc32c.cc'];
// Long enough for each of the block sizes that checksums are summed in.
const LONGEST_INPUT = 16384;
const SECONDS_PER_INPUT = 10;
const MEGABYTES = 1024;
const LARGEST_CAPACITY = 2 ** 30;
const KIND = { DATA: 1, PAD: 2, END: 3, LINK: 4 };

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    seed: { type: 'string' },
    input: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log('fuzz-native [--seconds N] [--seed N], or --input HEX: as the head of this file says');
  process.exit();
}
const seconds = wholeNumber('seconds', values.seconds ?? '60');
const seed = wholeNumber('seed', values.seed ?? String(1 + Math.floor(Math.random() * (2 ** 31 - 1))));

const folder = mkdtempSync(join(tmpdir(), 'millrace-fuzz-'));
let running;
process.on('exit', () => {
  running?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const target = build();
if (values.input !== undefined) {
  if (!/^([0-9a-f]{2})+$/i.test(values.input)) stop('--input must be bytes in hexadecimal');
  const input = join(folder, 'input');
  writeFileSync(input, Buffer.from(values.input, 'hex'));
  const { failed } = await run([input]);
  console.log(failed ? 'fuzz-native: it fails' : 'fuzz-native: nothing is wrong with this input');
  process.exit(failed ? 1 : 0);
}

const corpus = join(folder, 'corpus');
const found = join(folder, 'found');
mkdirSync(corpus);
mkdirSync(found);
for (const [index, bytes] of seeds().entries()) writeFileSync(join(corpus, `seed-${index}`), bytes);
const { failed, output } = await run([
  `-max_total_time=${seconds}`,
  `-seed=${seed}`,
  `-max_len=${LONGEST_INPUT}`,
  `-timeout=${SECONDS_PER_INPUT}`,
  `-artifact_prefix=${found}/`,
  '-print_final_stats=1',
  corpus,
]);

for (const name of readdirSync(found)) {
  console.log(`${name}, to be given to --input:\n${readFileSync(join(found, name)).toString('hex')}`);
}
console.log(`fuzz-native: ${counts(output)}, seed ${seed}; ${failed ? 'FAILED' : 'nothing found'}`);
process.exit(failed ? 1 : 0);

function build() {
  const compiler = 'clang++';
  if (spawnSync(compiler, ['--version']).status !== 0) {
    stop(`There is no ${compiler}. On Debian: apt-get install clang libclang-rt-dev`);
  }
  const out = join(folder, 'frames');
  const flags = ['-std=gnu++17', '-O2', '-g', '-fno-omit-frame-pointer', '-Wall', '-Wextra'];
  const sanitizers = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'];
  const { status } = spawnSync(compiler, [...flags, ...sanitizers, '-Inative', ...SOURCES, '-o', out], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0 || !existsSync(out)) {
    stop('The target could not be built; libFuzzer and the sanitizers are in libclang-rt-dev on Debian');
  }
  return out;
}

/** Runs the target and shows what it says; its output is kept for the counts. */
function run(args) {
  return new Promise((resolve) => {
    let output = '';
    running = spawn(target, [...args, `-rss_limit_mb=${MEGABYTES}`], {
      cwd: folder,
      stdio: ['ignore', 'inherit', 'pipe'],
      // Nothing of what is tested allocates; looking for leaks may be forbidden in a container.
      env: {
        ...process.env,
        ASAN_OPTIONS: 'detect_leaks=0:quarantine_size_mb=16',
        UBSAN_OPTIONS: 'print_stacktrace=1',
      },
    });
    running.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stderr.write(text);
    });
    running.on('close', (code, signal) => resolve({ failed: code !== 0 || signal !== null, output }));
  });
}

/** From libFuzzer's last line with counts, `#9 NEW cov: 1 ft: 2 corp: 3/4b …`, and its final statistics. */
function counts(output) {
  const last = output.match(/^#\d+\s+\w+\s+cov:.*$/gm)?.at(-1) ?? '';
  const [, runs = '0'] =
    output.match(/^stat::number_of_executed_units:\s*(\d+)/m) ?? last.match(/^#(\d+)/) ?? [];
  const [, took = '0'] = output.match(/^Done \d+ runs in (\d+) second/m) ?? [];
  const [, covered = '0', features = '0', inputs = '0'] =
    last.match(/cov: (\d+) ft: (\d+) corp: (\d+)/) ?? [];
  return `${runs} runs, cov ${covered}, ft ${features}, corpus ${inputs} inputs, ${took} s`;
}

/** Inputs to begin with: control words as in the target, then frames with right stamps and no checksums. */
function seeds() {
  const bases = [
    [],
    [frame(KIND.DATA, 16)],
    [frame(KIND.DATA, 17), frame(KIND.DATA, 32), frame(KIND.DATA, 40)],
    [frame(KIND.DATA, 100), frame(KIND.PAD, 64), frame(KIND.DATA, 24)],
    [frame(KIND.DATA, 48), frame(KIND.PAD, 4096, 16)],
    [frame(KIND.DATA, 48), frame(KIND.END, 16), frame(KIND.DATA, 16)],
    [frame(KIND.DATA, 33), frame(KIND.LINK, 56), frame(KIND.DATA, 16)],
    [frame(KIND.DATA, 800), frame(KIND.DATA, 13000), frame(KIND.END, 32)],
    [frame(KIND.PAD, LARGEST_CAPACITY, 16)],
    [frame(KIND.PAD, LARGEST_CAPACITY + 1, 16)],
  ];
  const all = bases.flatMap((frames, index) => [
    input({ stamp: 7, incarnation: index + 1, strictEnd: 64 }, frames),
    input({ stamp: 0xfffffffe, incarnation: 0xc0ffee, summedEnd: 128, flippedBit: 1000, right: 1 }, frames),
  ]);
  // With this header, stamp and incarnation these bytes make a CRC32C of 0, which mutation never would.
  const zero = frame(KIND.DATA, 20);
  zero.writeUInt32LE(0x0b6c6f48, 16);
  return [...all, input({ stamp: 7, incarnation: 1 }, [zero])];
}

function frame(kind, length, bytes = Math.ceil(length / 16) * 16) {
  const made = Buffer.alloc(bytes, 0x5a);
  made.writeInt32LE(length, 0);
  made.writeUInt32LE(kind, 4);
  made.writeUInt32LE(0, 12);
  return made;
}

function input({ stamp, incarnation, strictEnd = 0, summedEnd = 0, flippedBit = 0, right = 0 }, frames) {
  let unit = stamp;
  const stamped = frames.map((bytes) => {
    const copy = Buffer.from(bytes);
    copy.writeUInt32LE(unit >>> 0, 8);
    unit += bytes.length / 16;
    return copy;
  });
  const control = Uint32Array.of(0, 0, stamp, incarnation, strictEnd, summedEnd, flippedBit, right);
  return Buffer.concat([Buffer.from(control.buffer), ...stamped]);
}

function wholeNumber(name, text) {
  if (/^\d+$/.test(text) && Number(text) > 0) return Number(text);
  return stop(`--${name} must be a whole number above 0, not '${text}'`);
}

function stop(message) {
  console.error(message);
  process.exit(2);
}
