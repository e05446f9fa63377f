import { Refusal, Writer } from '../../../dist/index.js';
import { die, keepingFiles } from '../keeping-files.js';
import { contentOf, must } from './model.js';
import { compareAsked, conclude, foresee, foreseeReady, refusalIn } from './outcomes.js';
import { poll } from './reading.js';
import { plainRecord, someForm, someLength, writeBatchOf, writeOne } from './writing.js';

// Nothing here waits in earnest: what is not there at the first look never comes while time stands still.

export async function waitUntilReady(trial) {
  const { dice, model } = trial;
  await waitFor(trial, dice.chance(50) ? undefined : dice.below(model.maxRecord + 20));
}

/** `bytes`: undefined for what was refused last. */
async function waitFor(trial, bytes) {
  const { model, writer, claim } = trial;
  if (claim !== undefined) return;
  const forecast = bytes === undefined ? foreseeReady(trial) : foresee(trial, [bytes]);
  let outcome = forecast.need;
  try {
    await writer.ready({ timeoutMs: 0, bytes });
  } catch (error) {
    outcome = refusalIn(error);
  }
  if (compareAsked(trial, `ready(${bytes ?? ''})`, forecast, outcome)) model.makePlaceFor(forecast.need);
  else if (bytes === undefined && outcome !== Refusal.BACK_PRESSURE) model.forgetRefused();
  must(writer.position === model.end, () => `ready moved the writer to ${writer.position}, not ${model.end}`);
}

/** A batch waits for those in its way. The room it waited for must not let in one that is larger than any may be. */
export async function waitForBatch(trial) {
  const { dice, model, readers } = trial;
  writeBatchOf(trial, model.largestBatch - 16 * dice.below(20));
  for (const known of [...readers]) if (known.kind === 'gating') poll(trial, known);
  await waitFor(trial, undefined);
  writeBatchOf(trial, model.largestBatch + 16 * dice.below(200));
}

export async function send(trial) {
  const { dice, model, writer, claim } = trial;
  if (claim !== undefined) return;
  const length = someLength(trial);
  const data = someForm(dice, contentOf(model.nextNumber, length));
  const forecast = foresee(trial, [length]);
  const record = plainRecord(trial, length);
  const before = writer.position;
  const sending = writer.send(data, { timeoutMs: 0 }).catch((error) => ({ error }));
  if (writer.position === before) {
    const { error } = await sending;
    conclude(trial, 'send', forecast, refusalIn(error), [record]);
    return;
  }
  // It went in at once; what is written before its answer comes must not change that.
  conclude(trial, 'send', forecast, forecast.need, [record]);
  const { at } = model.records.at(-1);
  if (dice.chance(50)) writeOne(trial);
  const position = await sending;
  must(position === at, () => `send returned ${position} instead of ${at}`);
}

/** The writer dies, with a claim open or not, and another goes on. */
export async function crash(trial) {
  const { model, claim } = trial;
  trial.note('crash', claim === undefined ? '' : 'in a claim');
  trial.claim = undefined;
  die(trial.life);
  trial.life = await keepingFiles(() => Writer.resume(trial.path));
  trial.count('resumed');
  model.forgetRefused();
  const { position } = trial.writer;
  const { records } = trial.writer.stats();
  must(position === model.end, () => `Resumed at ${position} instead of ${model.end}`);
  must(
    records === model.records.length,
    () => `Resumed behind ${records}, not ${model.records.length} records`,
  );
}
