import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const floor = fileURLToPath(new URL('../floor/', import.meta.url));
const layout = fileURLToPath(new URL('../../native/layout.h', import.meta.url));
const build = fileURLToPath(new URL('../build/', import.meta.url));
const flags = ['-O2', '-Wall', '-Wextra', '-Wno-unused-function', '-D_GNU_SOURCE', '-pthread'];

/** All that a program may be made of. */
export function floorSources() {
  return [...readdirSync(floor).map((file) => join(floor, file)), layout];
}

/** The path of a C program of floor/, compiled if its sources are younger. */
export function floorProgram(name) {
  const program = `${build}${name}`;
  mkdirSync(build, { recursive: true });
  const youngest = Math.max(...floorSources().map((file) => statSync(file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) < youngest) {
    execFileSync('cc', [...flags, '-o', program, `${floor}${name}.c`], { stdio: 'inherit' });
  }
  return program;
}
