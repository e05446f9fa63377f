import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

export const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

const index = (path: string) =>
  JSON.stringify(pathToFileURL(`${import.meta.dirname}/../../dist/${path}`).href);

/** Runs code as a user who may do nothing; what it returns comes back, an error that `outcome` met by its facts. */
// biome-ignore lint/suspicious/noExplicitAny: whatever the code returns.
export function asNobody(code: string): any {
  const run = `
    const { declareAbandoned, inspect, Reader, Writer } = await import(${index('index.js')});
    const { Log } = await import(${index('log/index.js')});
    const outcome = async (work) => {
      try { return await work(); } catch (error) { return { ...error, message: error.message }; }
    };
    console.log(JSON.stringify(await (async () => { ${code} })()));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', run], {
    uid: NOBODY,
    gid: NOBODY,
    cwd: '/',
    encoding: 'utf8',
    env: {},
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}
