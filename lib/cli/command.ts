import { type ParseArgsConfig, parseArgs } from 'node:util';
import { closest, parseSize } from '../options.js';
import type { Output } from './output.js';
import { plain } from './words.js';

type OptionTable = NonNullable<ParseArgsConfig['options']>;

/** One verb of the command. */
export interface Verb {
  /** With the name of its group before it, if it has one: 'log read'. */
  name: string;
  /** What `millrace help` says of it. */
  summary: string;
  /** What `millrace help VERB` says. */
  help: string;
  options: OptionTable;
  /** Resolves to true if all was well, to false if a fault was found and said. */
  run(values: Values, paths: string[], output: Output): Promise<boolean>;
}

/** Verbs that share a first word. */
export interface Group {
  name: string;
  summary: string;
  help: string;
  verbs: readonly Verb[];
}

export type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;

/** The command was used wrongly: exit code 2, and which help to ask for. */
export class UsageError extends Error {
  readonly verb: string | undefined;

  constructor(message: string, verb?: string) {
    super(message);
    this.verb = verb;
  }
}

/** The verb, or the group of verbs, of this name; of `group` where that is given. */
export function find<T extends Verb | Group>(word: string, among: readonly T[], group?: string): T {
  const found = among.find(({ name }) => lastWord(name) === word);
  if (found !== undefined) return found;
  const inGroup = among
    .flatMap((one) => ('verbs' in one ? one.verbs : []))
    .find(({ name }) => lastWord(name) === word);
  if (inGroup !== undefined) {
    throw new UsageError(`there is no '${word}'; did you mean '${inGroup.name}'?`, inGroup.name);
  }
  const words = [...among.map(({ name }) => lastWord(name)), ...(group === undefined ? ['help'] : [])];
  const asked = group === undefined ? word : `${group} ${word}`;
  throw new UsageError(`there is no '${asked}'${suggest(word, words)}`, group);
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf(' ') + 1);
}

/** A line for each, with what it does. */
export function summaries(verbs: readonly (Verb | Group)[]): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  return verbs.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n');
}

export function parseFor(verb: Verb, args: string[]): { values: Values; paths: string[] } {
  const options: OptionTable = { ...verb.options, help: { type: 'boolean', short: 'h' } };
  // What it is strict about is refused here, in our own words.
  const { values, positionals, tokens } = parseArgs({
    args,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) if (token.kind === 'option') check(verb, options, token);
  // As a rule a variable of the shell that was not set; to the system it might be the directory one is in.
  if (positionals.includes('')) throw new UsageError(`${verb.name}: an argument is empty`, verb.name);
  return { values: values as Values, paths: positionals };
}

interface OptionToken {
  name: string;
  rawName: string;
  value: string | undefined;
  inlineValue: boolean | undefined;
}

function check(verb: Verb, options: OptionTable, { name, rawName, value, inlineValue }: OptionToken): void {
  const wrong = (message: string) => new UsageError(`${verb.name}${message}`, verb.name);
  if (!Object.hasOwn(options, name)) {
    const meant = rawName.startsWith('--') ? suggest(name, Object.keys(options), '--') : '';
    throw wrong(` has no option '${rawName}'${meant || `; it has ${spelled(options)}`}`);
  }
  if (options[name].type === 'boolean') {
    if (value !== undefined) throw wrong(`: --${name} takes no value, and was given '${value}'`);
  } else if (value === undefined) {
    throw wrong(`: --${name} takes a value`);
  } else if (inlineValue === false && /^-\D/.test(value)) {
    // No option is a digit: a number below 0 is what the option itself refuses.
    throw wrong(`: --${name} takes a value, not the option '${value}'; if it is one, say --${name}=${value}`);
  }
}

function suggest(given: string, known: string[], prefix = ''): string {
  const meant = closest(given, known);
  if (meant !== undefined) return `; did you mean '${prefix}${meant}'?`;
  return prefix === '' ? `; there are ${known.join(', ')}` : '';
}

function spelled(options: OptionTable): string {
  return Object.entries(options)
    .map(([name, { short }]) => (short === undefined ? `--${name}` : `-${short}, --${name}`))
    .join(', ');
}

/** The one thing that a verb is about. */
export function onePath(verb: Verb, paths: string[], thing = 'channel'): string {
  if (paths.length === 1) return paths[0];
  const wrong = paths.length === 0 ? `which ${thing}?` : `one ${thing} at a time, not ${paths.length}`;
  throw new UsageError(`${verb.name}: ${wrong}`, verb.name);
}

/** What the verb takes from, and what it brings that to. */
export function twoPaths(verb: Verb, paths: string[], from: string, to: string): [from: string, to: string] {
  if (paths.length === 2) return [paths[0], paths[1]];
  throw new UsageError(`${verb.name}: a ${from} and a ${to}, not ${plain(paths.length, 'path')}`, verb.name);
}

export function countOption<T>(
  verb: Verb,
  values: Values,
  name: string,
  least: number,
  otherwise: T,
): number | T {
  const given = values[name];
  if (given === undefined) return otherwise;
  const count = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new UsageError(
    `${verb.name}: --${name} takes a whole number from ${least} up, not '${given}'`,
    verb.name,
  );
}

/** A number of bytes, or such as '64KiB'. */
export function sizeOption(verb: Verb, values: Values, name: string): number | undefined {
  const given = values[name];
  return given === undefined ? undefined : inUse(verb, () => parseSize(`--${name}`, String(given)));
}

export function choiceOption<T extends string>(
  { name: verb }: Verb,
  values: Values,
  name: string,
  choices: readonly T[],
): T | undefined {
  const given = values[name];
  if (given === undefined) return undefined;
  const chosen = choices.find((choice) => choice === given);
  if (chosen !== undefined) return chosen;
  throw new UsageError(`${verb}: --${name} takes ${choices.join(' or ')}, not '${given}'`, verb);
}

/** When what is written reaches the disk: none, commit, or each so many milliseconds. */
export function syncOption(
  { name }: Verb,
  { sync }: Values,
): 'none' | 'commit' | { everyMs: number } | undefined {
  if (sync === undefined || sync === 'none' || sync === 'commit') return sync;
  if (/^\d+$/.test(String(sync))) return { everyMs: Number(sync) };
  throw new UsageError(`${name}: --sync takes none, commit or milliseconds, not '${sync}'`, name);
}

/** Permissions of files. */
export function fileModeOption({ name }: Verb, { 'file-mode': mode }: Values): number | undefined {
  if (mode === undefined) return undefined;
  if (/^[0-7]{3}$/.test(String(mode))) return Number.parseInt(String(mode), 8);
  throw new UsageError(`${name}: --file-mode takes three digits such as 640, not '${mode}'`, name);
}

/** What the library refuses here is what the user said. */
export function inUse<T>(verb: Verb, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asUse(verb, error);
  }
}

export function asUse(verb: Verb, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const isUse = code === 'ERR_INVALID_ARGUMENT' || code === 'ERR_INVALID_NAME';
  return isUse ? new UsageError(`${verb.name}: ${asOption(verb, message)}`, verb.name) : error;
}

/** The library begins with the name of its own option, such as stalledAfterMs, sync.everyMs or compaction.tombstonesMs. */
function asOption({ options }: Verb, message: string): string {
  return message.replace(/^[\w.]+(?= m)/, (name) => {
    const spelled = name.split('.').map((part) => kebab(part.replace(/Ms$/, '')));
    const option = spelled.find((one) => Object.hasOwn(options, one));
    return option === undefined ? name : `--${option}`;
  });
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
