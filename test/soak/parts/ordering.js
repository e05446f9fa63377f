import { beOvertaken, joinAgain, passMessages } from '../../ordering/fixtures/litmus.js';

export const option = 'ordering';
export const says = 'times 1,000 records passed, overtaken and joined in, by each way of writing';

export async function run({ count, newPath, attempt }) {
  const records = count * 1000;
  for (const way of ['one', 'claim', 'batch']) {
    for (const reader of [{ gate: true }, {}]) {
      const label = `passed, by ${way}, ${JSON.stringify(reader)}`;
      await attempt(label, () => passMessages({ newPath, way, records, reader }));
    }
    await attempt(`overtaken, by ${way}`, () => beOvertaken({ newPath, way, records }));
    await attempt(`joined, by ${way}`, () => joinAgain({ newPath, way, records }));
  }
}
