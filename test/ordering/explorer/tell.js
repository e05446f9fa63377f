// Prints the shortest way to what a variant breaks:
//
//   node test/ordering/explorer/tell.js 'looks for sleepers before' TSO
import { search } from './search.js';
import { BROKEN } from './variants.js';

const [part, model] = process.argv.slice(2);
for (const { name, as, foundOn } of BROKEN) {
  if (part === undefined || !name.includes(part)) continue;
  for (const machine of foundOn) {
    if (model !== undefined && model !== machine) continue;
    const { violation, trace } = search(as(machine));
    console.log(`${name}, on ${machine}: ${violation}\n  ${trace.join('\n  ')}`);
  }
}
