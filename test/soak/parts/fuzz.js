import { fuzzChannels } from '../fuzz/run.js';
import { trialsPart } from '../trials-part.js';

export const option = 'fuzz';
export const says = 'times 1,000 random operations on channels, compared with a model';

export const run = trialsPart(option, 'operations', ({ count, ...options }) =>
  fuzzChannels({ operations: count * 1000, ...options }),
);
