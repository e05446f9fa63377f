#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { findVerb, parseFor, UsageError, type Verb } from './command.js';
import { dump } from './dump.js';
import { Output, say, sayError } from './output.js';
import { stat } from './stat.js';
import { tail } from './tail.js';
import { verify } from './verify.js';

const VERBS: readonly Verb[] = [stat, dump, tail, verify];

const OK = 0;
const FAULT = 1;
const WRONG_USE = 2;

async function main(args: string[], output: Output): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    process.stderr.write(`${overview()}\n`);
    return WRONG_USE;
  }
  if (name === '--version' || name === '-v') return print(version(), output);
  if (name === 'help' || name === '--help' || name === '-h') {
    const about = rest[0] ?? 'help';
    return print(about === 'help' ? overview() : findVerb(about, VERBS).help, output);
  }
  const verb = findVerb(name, VERBS);
  const { values, paths } = parseFor(verb, rest);
  if (values.help === true) return print(verb.help, output);
  return (await verb.run(values, paths, output)) ? OK : FAULT;
}

function print(text: string, output: Output): number {
  output.line(text);
  return OK;
}

function overview(): string {
  const width = Math.max(...VERBS.map(({ name }) => name.length));
  return `millrace VERB [options]: looks at shared-memory channels, and never changes them

${VERBS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}

  millrace help VERB   options and examples
  millrace --version

All take --json. Exit codes: 0, or 1 for a fault found, or 2 for wrong use.

Examples
  millrace stat /dev/shm/orders
  millrace tail -f /dev/shm/orders
  millrace dump /dev/shm/orders --limit 20
  millrace verify /var/lib/app/journal`;
}

function version(): string {
  const description = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(description) as { version: string }).version;
}

async function run(): Promise<number> {
  const output = new Output(process.stdout);
  try {
    return await main(process.argv.slice(2), output);
  } catch (error) {
    await output.flush();
    if (!(error instanceof UsageError)) {
      sayError(error);
      return FAULT;
    }
    say(`${error.message} - see: millrace help${error.verb === undefined ? '' : ` ${error.verb}`}`);
    return WRONG_USE;
  } finally {
    await output.flush();
  }
}

process.exitCode = await run();
