import { chosenTrials, parseCommand, USAGE, UsageError } from './command.js';
import { resultsFolder } from './results.js';
import { runTrials } from './run.js';

/** Does what the command line says; resolves with the exit code. */
export async function main(trials, args) {
  try {
    return await obey(trials, parseCommand(args, trials));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
}

async function obey(trials, command) {
  const chosen = chosenTrials(trials, command);
  const into = resultsFolder(command);
  if (command.list) {
    for (const { trial, options } of chosen) console.log(`${trial.name.padEnd(28)} ${optionsText(options)}`);
    return 0;
  }
  const { saved, failed, cut, notBegun, code } = await runTrials(chosen, command, into);
  console.log('');
  if (saved.length > 0) console.log(`results in ${into}: ${saved.join(', ')}`);
  if (failed.length > 0) console.log(`failed: ${failed.join(', ')}`);
  if (cut.length > 0) console.log(`cut short, so without results: ${cut.join(', ')}`);
  if (notBegun.length > 0) console.log(`not begun: ${notBegun.join(', ')}`);
  return code ?? (failed.length > 0 ? 1 : 0);
}

function optionsText(options) {
  return Object.entries(options)
    .map(([name, value]) => `--${name} ${value}`)
    .join(' ');
}
