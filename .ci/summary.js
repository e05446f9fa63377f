// Adds up vitest's JSON reports in a folder and prints the closing line. A part that failed without a failed test
// (an install, a linter) counts as one failure.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, failedParts] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const name of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests;
  for (const file of report.testResults) {
    for (const test of file.assertionResults.filter((test) => test.status === 'pending')) {
      console.log(`skipped: ${test.fullName}`);
    }
  }
}
failed = Math.max(failed, Number(failedParts));
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
