import { MillraceError } from '../../../dist/index.js';
import { must } from './model.js';

/** Which record comes next, as the reader says. */
export const standing = ({ model }, { reader }) => reader.recordNumber - model.baseRecord;

/** To a place of any kind, also to one that is gone or not there yet. */
export function seek(trial, known) {
  const { dice, model, clock } = trial;
  const goal = dice.below(model.records.length + 2);
  const record = model.records[goal];
  const ways = [
    ['oldest', 'oldest'],
    ['latest', 'latest'],
    ['record', { record: model.baseRecord + goal }],
    ['position', record?.at ?? model.end + dice.pick(0, 0, 16)],
  ];
  if (model.timed) ways.push(['time', { time: { us: record?.time ?? clock.us } }]);
  const [way, where] = dice.pick(...ways);
  trial.count('seeks');
  trial.note('seek', known.name, JSON.stringify(where));
  try {
    known.reader.seek(where);
  } catch (error) {
    checkUnreachable(trial, way, goal, error);
    return;
  }
  known.next = standing(trial, known);
  known.lost = known.reader.lost;
  trial.note('at', known.next);
  checkLanding(trial, known, way, goal);
}

/** Only what is overwritten, or was never written, can't be sought. */
function checkUnreachable({ model, watch, count }, way, goal, error) {
  if (!(error instanceof MillraceError)) throw error;
  must(way === 'record' || way === 'position', () => `seek to ${way}: ${error.stack}`);
  count('unreachable');
  const record = model.records[goal];
  if (error.code === 'ERR_OVERTAKEN') {
    const gone = record !== undefined && watch.limit - record.at > model.capacity - model.coarse;
    must(model.ring && gone, () => `Record ${goal} is still there: ${error.stack}`);
  } else {
    must(error.code === 'ERR_INVALID_ARGUMENT' && record === undefined, () => `seek: ${error.stack}`);
  }
}

function checkLanding({ model, watch }, { next, reader }, way, goal) {
  const { position } = reader;
  must(model.standsAt(next, position), () => `Record ${next} is not at position ${position}`);
  const { records, capacity, coarse, base } = model;
  const behind = watch.limit - position;
  switch (way) {
    case 'latest':
      must(next === records.length, () => `The latest is ${next} instead of ${records.length}`);
      break;
    case 'oldest': {
      const oldest = model.ring ? behind <= capacity : position === base;
      must(oldest, () => `The oldest is at ${position}, ${behind} below the limit`);
      const late = position !== base && behind <= capacity - coarse;
      must(!late, () => `There is older than ${position}, ${behind} below the limit`);
      break;
    }
    case 'time': {
      const { time } = records[goal] ?? {};
      checkTime(model, watch, next, time);
      break;
    }
    default:
      must(next === Math.min(goal, records.length), () => `Sought ${goal}, found ${next}`);
  }
}

/** The first record that is still there, at or after a time. */
function checkTime({ records, ring, capacity, coarse }, { limit }, next, time) {
  if (time === undefined) return;
  must(next === records.length || records[next].time >= time, () => `Record ${next} is before ${time}`);
  for (let i = next - 1; i >= 0; i--) {
    if (ring && limit - records[i].at > capacity - coarse) break;
    must(records[i].time < time, () => `Record ${i} is at ${time} or after it, as is ${next}`);
  }
}
