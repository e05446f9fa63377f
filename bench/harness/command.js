import { parseArgs } from 'node:util';

export const USAGE = `node bench.js [words of trial names] [--full] [--list] [--cpus 0,1] [--dir FOLDER]
              [--node=FLAG] [--into FOLDER] [--report-only] [--OPTION VALUE]

  --full          the long set, instead of the one that takes less than five minutes
  --list          the trials and their options, as this command would run them
  --cpus 0,1      the two cpus that processes are pinned to
  --dir FOLDER    where channels on a disk are made
  --node=FLAG     a flag for the Node processes that are measured, such as --node=--single-threaded-gc
  --into FOLDER   where results and the report are put
  --report-only   measures nothing, and makes the report of the results that are there
  --OPTION VALUE  in place of a trial's own option, such as --turns 40 --ms 100`;

/** Thrown for what the user can put right. */
export class UsageError extends Error {}

export function parseCommand(args, trials) {
  const defaults = Object.assign({}, ...trials.flatMap(({ quick, full }) => [full, quick]));
  const given = parse(args, Object.keys(defaults));
  const { full = false, list, cpus, dir, node, into, 'report-only': reportOnly, ...own } = given.values;
  const overriding = Object.fromEntries(
    Object.entries(own).map(([name, text]) => [name, valueLike(defaults[name], name, text)]),
  );
  return {
    set: full ? 'full' : 'quick',
    words: given.positionals,
    list,
    cpus: cpusOf(cpus ?? '0,1'),
    ownCpus: cpus !== undefined,
    dir,
    node,
    into,
    reportOnly,
    overriding,
  };
}

function parse(args, optionNames) {
  const ofTrials = Object.fromEntries(optionNames.map((name) => [name, { type: 'string' }]));
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...ofTrials,
        full: { type: 'boolean' },
        list: { type: 'boolean' },
        cpus: { type: 'string' },
        dir: { type: 'string' },
        node: { type: 'string', multiple: true, default: [] },
        into: { type: 'string' },
        'report-only': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

/** A text as what it stands in for: a number, some numbers with commas, or a text. */
function valueLike(standing, name, text) {
  if (typeof standing === 'string') return text;
  const values = text.split(',').map(Number);
  const fits = values.every((value) => value > 0) && (Array.isArray(standing) || values.length === 1);
  if (!fits)
    throw new UsageError(
      `--${name} ${text} is not ${Array.isArray(standing) ? 'numbers' : 'a number'} above 0`,
    );
  return Array.isArray(standing) ? values : values[0];
}

function cpusOf(text) {
  const cpus = text.split(',').map(Number);
  if (cpus.length === 2 && cpus[0] !== cpus[1] && cpus.every((cpu) => Number.isInteger(cpu) && cpu >= 0))
    return cpus;
  throw new UsageError(`--cpus ${text} is not two cpus, such as 0,1`);
}

/** The trials that a command means, each with the options that it runs with. Each word and option must mean one. */
export function chosenTrials(trials, { set, words, overriding }) {
  const inSet = trials.filter((trial) => trial[set] !== undefined);
  for (const word of words) {
    const named = trials.filter(({ name }) => name.includes(word));
    if (named.length === 0) throw new UsageError(`no trial has this word in its name: ${word}`);
    if (!named.some((trial) => inSet.includes(trial))) {
      const other = set === 'quick' ? '--full' : 'quick';
      throw new UsageError(`only in the ${other} set: ${named.map(({ name }) => name).join(', ')}`);
    }
  }
  const chosen = inSet.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  const strange = Object.keys(overriding).find((name) => !chosen.some((trial) => name in trial[set]));
  if (strange !== undefined) {
    throw new UsageError(`--${strange} is no option of ${chosen.map(({ name }) => name).join(', ')}`);
  }
  return chosen.map((trial) => ({
    trial,
    options: { ...trial[set], ...overridden(trial[set], overriding) },
  }));
}

function overridden(options, overriding) {
  return Object.fromEntries(Object.entries(overriding).filter(([name]) => name in options));
}
