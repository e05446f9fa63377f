import { UsageError } from './command.js';
import { diskByDefault, MEMORY, withFolders, workingFolder } from './folder.js';
import { Interruption } from './interruption.js';
import { Surroundings, showSurroundings } from './load.js';
import { describeMachine, showMachine } from './machine.js';
import { RememberingProbe, showPlacement } from './placement.js';
import { Probe } from './probe.js';
import { PinnedProcess } from './process.js';
import { duration, Progress } from './progress.js';
import { loadResults, saveResult } from './results.js';
import { textOf } from './table.js';

/**
 * Runs the chosen trials, one after the other; each one's results are saved and shown when it ends. Resolves with
 * the names of those that `failed` (and why), that were `cut` short, and those `not begun`, and the code of a
 * signal that came.
 */
export async function runTrials(chosen, command, into) {
  const { cpus, node, dir, set, overriding } = command;
  const interruption = new Interruption();
  const { signal } = interruption;
  const memory = folderIn(MEMORY, MEMORY);
  const disk =
    command.dir === undefined
      ? folderIn(diskByDefault(), 'the disk')
      : folderIn(command.dir, `--dir ${command.dir}`);
  const machine = describeMachine(memory, disk);
  const progress = new Progress(process.stderr, set, secondsOfLastRun(chosen, into));
  const outcome = { saved: [], failed: [], cut: [], notBegun: [] };

  console.log(showMachine(machine));
  let probe;
  for (const { trial, options } of chosen) {
    if (interruption.came) {
      outcome.notBegun.push(trial.name);
      continue;
    }
    progress.begin(trial.name);
    try {
      const measured = await interruption.heed(measure(trial, options));
      saveResult(into, { name: trial.name, set, ...measured });
      progress.clear();
      console.log(show(trial, measured));
      outcome.saved.push(trial.name);
    } catch (error) {
      progress.clear();
      if (interruption.came) {
        outcome.cut.push(trial.name);
      } else {
        outcome.failed.push(trial.name);
        console.log(`\n${trial.name}: FAILED, ${error.message}`);
        // It may have left some, which would be in the way of the next one.
        PinnedProcess.endAll();
        probe = undefined;
      }
    }
  }
  if (!interruption.came) await probe?.end();
  return { ...outcome, code: interruption.code };

  async function measure(trial, options) {
    const surroundings = new Surroundings();
    const when = new Date().toISOString();
    probe ??= await Probe.start(cpus);
    const remembering = new RememberingProbe(probe);
    const results = await withFolders([memory, disk], trial.name, async (folder, ownDisk) => {
      await remembering.look();
      const tell = (done, all) => progress.tell(done, all);
      const own = { folder, disk: ownDisk, cpus, node, probe: remembering, options, progress: tell, signal };
      const done = await trial.run(own);
      await remembering.look();
      return done;
    });
    return {
      when,
      seconds: progress.seconds,
      machine,
      load: surroundings.end(),
      placement: remembering.describe(),
      cpus,
      node,
      dir,
      overriding: Object.keys(overriding).filter((name) => name in options),
      options,
      results,
    };
  }
}

function folderIn(base, title) {
  try {
    return workingFolder(base);
  } catch (error) {
    throw new UsageError(`${title} takes no channels: ${error.message}`);
  }
}

function secondsOfLastRun(chosen, into) {
  const last = loadResults(
    into,
    chosen.map(({ trial }) => trial),
    () => {}, // the report tells of it
  );
  return chosen.map(({ trial: { name } }) => last.find(({ trial }) => trial.name === name)?.result.seconds);
}

function show(trial, { results, load, placement, seconds }) {
  const lines = trial.lines?.(results) ?? textOf(trial.rows(results));
  return [
    `\n${trial.name}: ${trial.title}`,
    ...lines,
    '',
    `  ${showPlacement(placement)}`,
    `  ${showSurroundings(load)}; it took ${duration(seconds)}`,
  ].join('\n');
}
