import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../floor/', import.meta.url));
const build = fileURLToPath(new URL('../build/', import.meta.url));
const flags = ['-O2', '-Wall', '-Wextra', '-Wno-unused-function', '-D_GNU_SOURCE', '-pthread'];

/** The path of a C program of floor/, compiled if its sources are younger. */
export function floorProgram(name) {
  const program = `${build}${name}`;
  mkdirSync(build, { recursive: true });
  const youngest = Math.max(...readdirSync(sources).map((file) => statSync(sources + file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) < youngest) {
    execFileSync('cc', [...flags, '-o', program, `${sources}${name}.c`], { stdio: 'inherit' });
  }
  return program;
}
