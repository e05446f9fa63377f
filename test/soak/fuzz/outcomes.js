import { MillraceError, Refusal } from '../../../dist/index.js';
import { must } from './model.js';

const REFUSALS = {
  ERR_BACK_PRESSURE: Refusal.BACK_PRESSURE,
  ERR_TIMEOUT: Refusal.BACK_PRESSURE,
  ERR_CHANNEL_FULL: Refusal.FULL,
  ERR_RECORD_TOO_LARGE: Refusal.TOO_LARGE,
};

const gatingReaders = (writer) => writer.readers().filter(({ state }) => state === 'gating');

const slowestOf = (model, gating) => Math.min(model.end, ...gating.map(({ position }) => position));

/** What must become of records of these lengths, said before it is tried. */
export function foresee({ model, writer }, lengths) {
  const gating = gatingReaders(writer);
  const wanted = model.outcomeOf(lengths, slowestOf(model, gating));
  return { need: model.bytesOf(lengths), wanted, gating: gating.length };
}

/** What must become of waiting for what was refused last, if anything was; else for any record at all. */
export function foreseeReady({ model, writer }) {
  const gating = gatingReaders(writer);
  const need = model.awaited;
  const wanted = need < 0 ? need : (model.refusalOf(need, slowestOf(model, gating)) ?? need);
  return { need, wanted, gating: gating.length };
}

/** Compares what came of it. Where readers were in the way, the writer may have made room by evicting some. */
export function compare(trial, what, { need, wanted, gating }, outcome) {
  const isDone = compareAsked(trial, what, { need, wanted, gating }, outcome);
  if (!isDone) trial.model.refuse(outcome, need);
  return isDone;
}

/** The same where it was only asked about: nothing is noted as refused. */
export function compareAsked(trial, what, { need, wanted, gating }, outcome) {
  const { model, writer } = trial;
  trial.note(what, need, outcome, 'at', writer.position);
  const evicted = outcome === need && gatingReaders(writer).length < gating;
  const madeRoom = wanted === Refusal.BACK_PRESSURE && evicted;
  must(outcome === wanted || madeRoom, () => `${what} of ${need} bytes: ${outcome} instead of ${wanted}`);
  if (outcome >= 0) return true;
  trial.count('refused');
  must(writer.position === model.end, () => `A refused ${what} moved the writer to ${writer.position}`);
  return false;
}

export function conclude(trial, what, forecast, outcome, records) {
  if (!compare(trial, what, forecast, outcome) || records.length === 0) return;
  const { model, writer, watch } = trial;
  const lap = Math.floor((model.end - model.base) / model.capacity);
  model.append(records);
  trial.count('written', records.length);
  if (Math.floor((model.end - model.base) / model.capacity) > lap) trial.count('laps');
  must(writer.position === model.end, () => `${what}: ends at ${writer.position} instead of ${model.end}`);
  const { records: count, bytes } = writer.stats();
  must(count === model.records.length && bytes === model.end - model.base, `${what}: stats`);
  const { tail, limit } = watch;
  const inOrder = tail <= model.end && model.end <= limit;
  const within = !model.ring || limit <= tail + model.capacity;
  must(inOrder && within, () => `${what}: tail ${tail}, end ${model.end}, limit ${limit}`);
}

/** The refusal that an error stands for. */
export function refusalIn(error) {
  const refusal = error instanceof MillraceError ? REFUSALS[error.code] : undefined;
  if (refusal === undefined) throw error;
  const { readers } = error;
  must(error.code !== 'ERR_BACK_PRESSURE' || readers.length > 0, 'Nobody is said to be in the way');
  return refusal;
}
