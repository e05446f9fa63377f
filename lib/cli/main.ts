#!/usr/bin/env node
import { find, type Group, parseFor, summaries, UsageError, type Verb } from './command.js';
import { Output, say, sayError } from './output.js';
import { description } from './package.js';
import { VERBS } from './verbs.js';

const OK = 0;
const FAULT = 1;
const WRONG_USE = 2;

async function main(args: string[], output: Output): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    process.stderr.write(`${overview()}\n`);
    return WRONG_USE;
  }
  if (name === '--version' || name === '-v') return print(description().version, output);
  if (name === 'help' || isHelpFlag(name)) return print(helpOn(rest), output);
  const found = find(name, VERBS);
  return 'verbs' in found ? runGroup(found, rest, output) : runVerb(found, rest, output);
}

async function runGroup({ name, help, verbs }: Group, args: string[], output: Output): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined) {
    process.stderr.write(`${help}\n`);
    return WRONG_USE;
  }
  if (isHelpFlag(word)) return print(help, output);
  return runVerb(find(word, verbs, name), rest, output);
}

async function runVerb(verb: Verb, args: string[], output: Output): Promise<number> {
  const { values, paths } = parseFor(verb, args);
  if (values.help === true) return print(verb.help, output);
  return (await verb.run(values, paths, output)) ? OK : FAULT;
}

function isHelpFlag(word: string): boolean {
  return word === '--help' || word === '-h';
}

function helpOn([word, second]: string[]): string {
  if (word === undefined || word === 'help') return overview();
  const found = find(word, VERBS);
  return 'verbs' in found && second !== undefined ? find(second, found.verbs, word).help : found.help;
}

function print(text: string, output: Output): number {
  output.line(text);
  return OK;
}

function overview(): string {
  return `millrace VERB [options]: makes, writes, reads and looks after shared-memory channels and durable logs

${summaries(VERBS)}

  millrace help VERB   options and examples
  millrace --version

All take --json. Exit codes: 0, or 1 for a fault found, or 2 for wrong use. Times are UTC, those that are given unless they say
their zone.

Examples
  millrace create /dev/shm/orders && seq 1000 | millrace write /dev/shm/orders
  millrace stat /dev/shm/orders
  millrace tail -f /dev/shm/orders
  millrace dump /dev/shm/orders --limit 20
  millrace verify /var/lib/app/journal
  millrace top
  millrace doctor /var/lib/app
  millrace log read /var/lib/app/events --from 2026-11-21`;
}

async function run(): Promise<void> {
  const output = new Output(process.stdout);
  try {
    process.exitCode = await main(process.argv.slice(2), output);
    await output.end();
  } catch (error) {
    process.exitCode = error instanceof UsageError ? WRONG_USE : FAULT;
    // What came before it is to stand before it.
    await output.end();
    if (!(error instanceof UsageError)) sayError(error);
    else say(`${error.message} - see: millrace help${error.verb === undefined ? '' : ` ${error.verb}`}`);
  }
}

// What nobody hears is said no more; the work goes on.
process.stderr.on('error', () => {});
// What is printed is UTC: so is a time that is given without a zone.
process.env.TZ = 'UTC';
await run();
