import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Real processes: locks and mappings are a process's own, and a crash must not take the runner along.
    pool: 'forks',
    // Many tests wait for processes of their own; more at once than cpus would only make them wait for each other.
    maxWorkers: Math.min(2, availableParallelism()),
    include: ['test/**/*.test.ts'],
    // It has dependencies of its own: `npm run test:oracle`.
    exclude: [...configDefaults.exclude, 'test/oracle/**'],
    globalSetup: ['test/helpers/run-directory.ts'],
    execArgv: ['--expose-gc'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
