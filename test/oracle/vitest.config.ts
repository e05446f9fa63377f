import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    pool: 'forks',
    include: ['test/oracle/*.test.ts'],
    globalSetup: ['test/helpers/run-directory.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
