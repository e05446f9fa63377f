import { Refusal } from '../../../dist/index.js';
import { contentOf, must } from './model.js';
import { compare, conclude, foresee, refusalIn } from './outcomes.js';
import { plainRecord, someLength } from './writing.js';

export function useClaim(trial) {
  if (trial.claim === undefined) openClaim(trial);
  else if (trial.dice.chance(30)) abortClaim(trial);
  else commitClaim(trial);
}

function openClaim(trial) {
  const { dice, model, writer } = trial;
  const length = someLength(trial);
  const type = dice.below(65536);
  const forecast = foresee(trial, [length]);
  let open;
  let outcome = forecast.need;
  try {
    open = writer.claim(length, type);
    if (open === undefined) outcome = model.ring ? Refusal.BACK_PRESSURE : Refusal.FULL;
  } catch (error) {
    outcome = refusalIn(error);
  }
  if (!compare(trial, 'claim', forecast, outcome)) return;
  model.makePlaceFor(forecast.need);
  must(writer.position === model.end, () => `A claim is at ${writer.position} instead of ${model.end}`);
  // What was never committed must not be seen, whatever it is.
  open.bytes.fill(255, open.start, open.end);
  trial.claim = { open, length, type };
}

function abortClaim(trial) {
  trial.note('abort');
  trial.claim.open.abort();
  trial.claim = undefined;
  const { model, writer } = trial;
  must(writer.position === model.end, () => `An aborted claim moved the writer to ${writer.position}`);
}

function commitClaim(trial) {
  const { dice, model, claim } = trial;
  const used = dice.pick(claim.length, dice.below(claim.length + 1), 0);
  claim.open.bytes.set(contentOf(model.nextNumber, used), claim.open.start);
  const forecast = foresee(trial, [used]);
  const taken = claim.open.commit(used);
  trial.claim = undefined;
  // Its room was granted when it was opened, whoever stands in the way by now.
  forecast.wanted = forecast.need;
  conclude(trial, 'commit', forecast, taken, [plainRecord(trial, used, claim.type)]);
}
