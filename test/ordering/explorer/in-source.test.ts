import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MODELLED, OUT_OF_SCOPE } from './in-source.js';
import { Machine } from './machine.js';
import { asIt, SCENARIOS } from './scenarios.js';
import { walk } from './search.js';
import { BROKEN, HARMLESS } from './variants.js';

// What the explorer looks at is only worth something as long as it is what the library does.
const LIBRARY = new URL('../../../lib/channel/', import.meta.url);
const NATIVE = new URL('../../../native/', import.meta.url);
/** The library's files, by the names that the tables give them: in which folder each lies is told by the tree. */
const filesByName = new Map(
  readdirSync(LIBRARY, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => [basename(path), new URL(path, LIBRARY)]),
);
/** So many lines of code on either side of a step's comment belong to it. */
const BESIDE = 3;
const MODELS = ['TSO', 'ARM'];
/** Where a program begins and ends. */
const EDGES = ['writer: start', 'writer: done', 'reader: start', 'reader: done'];

const stepsOfPrograms = findSteps();
const numbered = MODELLED.filter(({ number }) => number !== undefined);

test('each numbered step of the library is modelled, or left out for a reason', () => {
  const inSource = stepsInLibrary().sort();
  const known = numbered.map(({ number, file }) => `${number} in ${file}`);
  for (const [number, { file, why }] of OUT_OF_SCOPE) {
    expect(why, `step ${number}`).not.toBe('');
    known.push(`${number} in ${file}`);
  }
  expect(inSource.length).toBeGreaterThan(50);
  expect(known.sort()).toEqual(inSource);
});

test.each(numbered)('step $number of $file is the access that is modelled', ({ number, file, code }) => {
  const lines = linesOf(file);
  const at = lines.indexOf(`// step ${number}`);
  expect(at).toBeGreaterThan(-1);
  const before = lines.slice(0, at).filter(isCode).slice(-BESIDE);
  const after = lines.slice(at).filter(isCode).slice(0, BESIDE);
  expect([...before, ...after].join('\n')).toContain(code);
});

test.each(MODELLED)('in $file: $code', ({ file, code }) => {
  expect(linesOf(file).join('\n')).toContain(code);
});

describe('the steps of the programs', () => {
  test('each has its place in the source', () => {
    const known = new Set([...MODELLED.flatMap(({ steps }) => steps), ...EDGES]);
    expect([...stepsOfPrograms].filter((step) => !known.has(step))).toEqual([]);
    expect([...known].filter((step) => !stepsOfPrograms.has(step))).toEqual([]);
  });

  test('each is taken in some scenario', () => {
    const taken = new Set(EDGES);
    for (const scenario of SCENARIOS) {
      for (const model of MODELS) {
        for (const step of walk(asIt('full', scenario, model), { walks: 100, seed: 314 }).taken)
          taken.add(step);
      }
    }
    expect([...stepsOfPrograms].filter((step) => !taken.has(step))).toEqual([]);
  });

  test('of each with a number there is a variant that goes without it', () => {
    const variants = [...BROKEN, ...HARMLESS].map(({ name }) => name);
    expect(new Set(variants).size).toBe(variants.length);
    for (const { number, without } of numbered) expect(variants, `step ${number}`).toContain(without);
  });
});

function stepsInLibrary(): string[] {
  return [...filesByName].flatMap(([name, file]) =>
    [...readFileSync(file, 'utf8').matchAll(/\/\/ step (\d+)/g)].map(([, number]) => `${number} in ${name}`),
  );
}

function linesOf(file: string): string[] {
  return readFileSync(filesByName.get(file) ?? new URL(file, NATIVE), 'utf8')
    .split('\n')
    .map((line) => line.trim());
}

function isCode(line: string): boolean {
  return line !== '' && !line.startsWith('//') && !line.startsWith('*') && !line.startsWith('/*');
}

/** All but those that only a variant takes. */
function findSteps(): Set<string> {
  const names = new Set<string>();
  for (const scenario of SCENARIOS) {
    for (const model of MODELS) {
      new Machine(asIt('full', scenario, model)).programs.forEach(({ steps }, thread) => {
        for (const { name, source } of steps) {
          if (!source.startsWith('a defect')) names.add(`${thread === 0 ? 'writer' : 'reader'}: ${name}`);
        }
      });
    }
  }
  return names;
}
