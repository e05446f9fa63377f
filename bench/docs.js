#!/usr/bin/env node
// Makes docs/performance.md, its pictures and README.md's figures of the results of the last full run: node docs.js [--into CHECKOUT]
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { resultsFolder } from './harness/results.js';
import { writeDocs } from './report/docs.js';
import { trials } from './trials/index.js';

const checkout = fileURLToPath(new URL('../', import.meta.url));
const { values } = parseArgs({ options: { into: { type: 'string', default: checkout } } });
const results = resultsFolder({ set: 'full', overriding: {}, node: [] });

try {
  for (const path of writeDocs(results, values.into, trials)) console.log(path);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
