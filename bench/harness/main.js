import { barsOf, reportable } from '../report/results.js';
import { writeReport } from '../report/write.js';
import { chosenTrials, parseCommand, USAGE, UsageError } from './command.js';
import { lackingTools } from './machine.js';
import { checkFolder, resultsFolder } from './results.js';
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
  const lacking = command.reportOnly ? [] : lackingTools();
  if (lacking.length > 0) {
    console.error(`without ${lacking.join(', ')} there are no benchmarks`);
    return 2;
  }
  try {
    checkFolder(into);
  } catch (error) {
    throw new UsageError(`${into} takes no results: ${error.message}`);
  }
  const outcome = command.reportOnly ? nothingRun : await runTrials(chosen, command, into);
  const reported = reportable(into, trials, ({ message }) => console.error(`left out: ${message}`));
  const report = writeReport(into, reported);
  console.log(
    ['', ...said(outcome, reported, into), report ? `report: ${report}` : `no results in ${into}`].join('\n'),
  );
  return outcome.code ?? (outcome.failed.length > 0 ? 1 : 0);
}

const nothingRun = { saved: [], failed: [], cut: [], notBegun: [] };

function said({ saved, failed, cut, notBegun }, reported, into) {
  const bars = barsOf(reported.filter(({ trial }) => saved.includes(trial.name)));
  const count = (kind) => bars.filter(({ verdict }) => verdict.kind === kind).length;
  const missed = bars.filter(({ verdict }) => verdict.kind === 'missed');
  return [
    ...(bars.length > 0
      ? [`bars: ${count('met')} met, ${count('missed')} missed, ${count('unsaid')} that can't be said`]
      : []),
    ...missed.map(
      ({ trial, group, name, verdict, measured }) =>
        `  missed: ${trial.name}, ${group ? `${group}, ` : ''}${name}: ${verdict.text}; ${measured.text ?? ''}`,
    ),
    ...(saved.length > 0 ? [`results in ${into}: ${saved.join(', ')}`] : []),
    ...(failed.length > 0 ? [`failed: ${failed.join(', ')}`] : []),
    ...(cut.length > 0 ? [`cut short, so without results: ${cut.join(', ')}`] : []),
    ...(notBegun.length > 0 ? [`not begun: ${notBegun.join(', ')}`] : []),
  ];
}

function optionsText(options) {
  return Object.entries(options)
    .map(([name, value]) => `--${name} ${value}`)
    .join(' ');
}
