import { asIt, SCENARIOS } from '../../ordering/explorer/scenarios.js';
import { search, walk } from '../../ordering/explorer/search.js';
import { BROKEN, HARMLESS } from '../../ordering/explorer/variants.js';

/** More would not fit into 2 GB of memory; then what is said is that it was not all. */
const MOST_STATES = 40_000_000;
const WALKS = 2000;

export const option = 'explore';
export const takesCount = false;
export const says =
  'all states of each scenario of the protocol, and what is found where a step is taken out';

export async function run({ seed, attempt }) {
  for (const scenario of SCENARIOS) {
    // Whatever can happen where memory is in order can happen with store buffers too: each store leaves at once.
    const { before = 0 } = scenario.full;
    const from = before === 0 ? '' : `, ${before} of the records read before it begins`;
    await attempt(`${scenario.name}${from}: x64`, async () => all(asIt('full', scenario, 'TSO')));
    await attempt(`${scenario.name}: arm64, a smaller form`, async () => all(asIt('weak', scenario, 'ARM')));
    await attempt(`${scenario.name}: arm64, at random`, async () => {
      const { steps, violation, trace } = walk(asIt('full', scenario, 'ARM'), { walks: WALKS, seed });
      judge(violation, trace);
      return { steps, verdict: `holds in ${WALKS} walks, which is not all there is` };
    });
  }
  for (const { name, as, foundOn, models, needsEveryOrder } of [...BROKEN, ...HARMLESS]) {
    await attempt(`${foundOn.length === 0 ? 'harmless' : 'broken'}: ${name}`, async () => {
      const verdicts = models.map((model) => {
        const { violation, trace, complete } = search(as(model));
        // And that the scenarios above may leave out orders that make no difference: so nothing is missed.
        const { violation: same } = search({ ...as(model), everyOrder: needsEveryOrder });
        for (const found of [violation, same]) {
          if ((found !== undefined) !== foundOn.includes(model) || !complete) {
            throw new Error(`On ${model}: ${found ?? 'nothing found'}`);
          }
        }
        return violation === undefined ? `not on ${model}` : `on ${model} in ${trace.length} steps`;
      });
      return { verdict: verdicts.join(', ') };
    });
  }
}

function all(scenario) {
  const { states, complete, depth, violation, trace } = search(scenario, { most: MOST_STATES });
  judge(violation, trace);
  const where = complete ? 'in all states' : `in the first ${states} states, and then it was given up`;
  return { states, depth: `${depth} steps`, verdict: `holds ${where}` };
}

function judge(violation, trace) {
  if (violation !== undefined) throw new Error(`${violation}\n  ${trace.join('\n  ')}`);
}
