import { type ParseArgsConfig, parseArgs } from 'node:util';
import { closest } from '../options.js';
import type { Output } from './output.js';

type OptionTable = NonNullable<ParseArgsConfig['options']>;

/** One verb of the command. */
export interface Verb {
  name: string;
  /** What `millrace help` says of it. */
  summary: string;
  /** What `millrace help VERB` says. */
  help: string;
  options: OptionTable;
  /** Resolves to true if all was well, to false if a fault was found and said. */
  run(values: Values, paths: string[], output: Output): Promise<boolean>;
}

export type Values = Record<string, string | boolean | undefined>;

/** The command was used wrongly: exit code 2, and which help to ask for. */
export class UsageError extends Error {
  readonly verb: string | undefined;

  constructor(message: string, verb?: string) {
    super(message);
    this.verb = verb;
  }
}

export function findVerb(name: string, verbs: readonly Verb[]): Verb {
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verb;
  const names = [...verbs.map((candidate) => candidate.name), 'help'];
  throw new UsageError(`there is no '${name}'${suggest(name, names)}`);
}

export function parseFor(verb: Verb, args: string[]): { values: Values; paths: string[] } {
  const options: OptionTable = { ...verb.options, help: { type: 'boolean', short: 'h' } };
  refuseUnknown(verb, options, args);
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    return { values: values as Values, paths: positionals };
  } catch (error) {
    throw new UsageError(firstSentence((error as Error).message), verb.name);
  }
}

/** Node's own message names no other option; this one does. */
function refuseUnknown(verb: Verb, options: OptionTable, args: string[]): void {
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind !== 'option' || token.name in options) continue;
    const meant = token.rawName.startsWith('--') ? suggest(token.name, Object.keys(options), '--') : '';
    throw new UsageError(
      `${verb.name} has no option '${token.rawName}'${meant || `; it has ${spelled(options)}`}`,
      verb.name,
    );
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

function firstSentence(message: string): string {
  return message.split('. ')[0].replaceAll('\n', ' ');
}

/** The one channel that a verb is about. */
export function onePath(verb: Verb, paths: string[]): string {
  if (paths.length === 1) return paths[0];
  const wrong = paths.length === 0 ? 'which channel?' : `one channel at a time, not ${paths.length}`;
  throw new UsageError(`${verb.name}: ${wrong}`, verb.name);
}

export function countOption(
  verb: Verb,
  values: Values,
  name: string,
  least: number,
  otherwise: number,
): number {
  const given = values[name];
  if (given === undefined) return otherwise;
  const count = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new UsageError(
    `${verb.name}: --${name} takes a whole number from ${least} up, not '${given}'`,
    verb.name,
  );
}
