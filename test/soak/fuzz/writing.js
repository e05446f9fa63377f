import { contentOf, must } from './model.js';
import { conclude, foresee, refusalIn } from './outcomes.js';

/** Lengths of all sizes; the more telling ones end near the end of the lap, or of what there is room for. */
export function someLength({ dice, model, writer }) {
  let exact = -1;
  if (dice.chance(15)) exact = model.lapLeft - model.header + dice.pick(-48, -32, -16, -15, 0, 0, 1, 16);
  else if (dice.chance(6)) exact = writer.remaining - model.header + dice.pick(-80, -16, 0, 0, 16);
  if (exact >= 0 && exact <= model.maxRecord) return exact;
  if (dice.chance(0.5)) return model.maxRecord + 1 + dice.below(50);
  return dice.pick(
    0,
    dice.below(40),
    dice.below(40),
    dice.below(200),
    dice.below(200),
    dice.below(1500),
    dice.below(1500),
    dice.below(model.maxRecord + 1),
    model.maxRecord - dice.below(20),
  );
}

/** A record's content in one of the forms it may be given in. */
export function someForm(dice, content) {
  switch (dice.below(4)) {
    case 0:
      return content.toString('latin1');
    case 1: {
      const cut = dice.below(content.length + 1);
      return [content.subarray(0, cut), content.subarray(cut).toString('latin1')];
    }
    default:
      return content;
  }
}

/** Tags and times are only for channels that have them. */
function someOptions({ dice, model, clock }) {
  const type = dice.below(65536);
  if (!model.timed) return { given: { type }, kept: { type, tag: 0, time: 0 } };
  const tag = dice.pick(0, dice.below(1000), 2 ** 40 + dice.below(99));
  const time = clock.us + dice.below(3000) - 500;
  return { given: { type, tag, timestamp: { us: time } }, kept: { type, tag, time } };
}

export const plainRecord = ({ model, clock }, length, type = 0) => ({
  length,
  type,
  tag: 0,
  time: model.timed ? clock.us : 0,
});

function mustBeBusy({ writer }) {
  let code;
  try {
    writer.tryWrite('x');
  } catch (error) {
    code = error.code;
  }
  must(code === 'ERR_BUSY', () => `With a claim open, a write was ${code}`);
}

export function writeOne(trial) {
  const { dice, model, writer, claim } = trial;
  if (claim !== undefined) return mustBeBusy(trial);
  const length = someLength(trial);
  const data = someForm(dice, contentOf(model.nextNumber, length));
  const forecast = foresee(trial, [length]);
  if (dice.chance(70)) {
    const type = dice.below(65536);
    const outcome = writer.tryWrite(data, type);
    conclude(trial, 'tryWrite', forecast, outcome, [plainRecord(trial, length, type)]);
    return;
  }
  const { given, kept } = someOptions(trial);
  let outcome = forecast.need;
  try {
    const position = writer.write(data, given);
    must(position === writer.position - forecast.need, () => `write returned ${position}`);
  } catch (error) {
    outcome = refusalIn(error);
  }
  conclude(trial, 'write', forecast, outcome, [{ length, ...kept }]);
}

export function writeMany(trial) {
  const times = trial.dice.chance(20) ? 1 + trial.dice.below(30) : 1;
  for (let i = 0; i < times; i++) writeOne(trial);
}

export function writeBatch(trial) {
  const { dice } = trial;
  const lengths = [];
  for (let left = dice.pick(0, 1, 2, 3, 5, 10, 30, 100); left > 0; left--) {
    lengths.push(dice.chance(50) ? someLength(trial) % 300 : someLength(trial));
  }
  writeTogether(trial, lengths);
}

/** A batch that takes so many bytes of the stream, or up to 16 less. */
export function writeBatchOf(trial, total) {
  const { dice, model } = trial;
  const lengths = [];
  for (let left = total; left >= model.header; left -= model.frameOf(lengths.at(-1))) {
    const most = Math.min(left - model.header, model.maxRecord);
    lengths.push(dice.chance(50) ? most : dice.below(most + 1));
  }
  writeTogether(trial, lengths);
}

function writeTogether(trial, lengths) {
  const { dice, model, writer, claim } = trial;
  if (claim !== undefined) return;
  const described = dice.chance(50);
  const items = [];
  const records = [];
  for (const length of lengths) {
    const content = contentOf(model.nextNumber + records.length, length);
    const { given, kept } = someOptions(trial);
    items.push(described ? { data: someForm(dice, content), ...given } : content);
    records.push(described ? { length, ...kept } : plainRecord(trial, length));
  }
  const forecast = foresee(trial, lengths);
  conclude(trial, `batch of ${lengths.length}`, forecast, writer.tryWriteBatch(items), records);
}
