import { readFileSync } from 'node:fs';

interface Description {
  version: string;
  engines: { node: string };
}

/** What the package says of itself. */
export function description(): Description {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Description;
}
