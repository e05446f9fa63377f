import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { ManyReader, Reader, Refusal, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { blocksOf, buildPackage, tryBlock } from '../helpers/blocks.js';

// docs/api.md has everything that lib/index.ts, lib/stream/index.ts and lib/log/index.ts export, and its tables have
// nothing else.

const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
const blocks = blocksOf(page);
const examples = blocks.filter(({ language }) => language === 'js');
const packageHome = buildPackage();

test('docs/api.md has examples to run, and every fence is closed', () => {
  expect(examples.length).toBeGreaterThan(5);
  expect(page.match(/^```/gm)?.length).toBe(blocks.length * 2);
});

test.each(examples)('the example at line $line of docs/api.md does what it says', (block) =>
  tryBlock(block, packageHome),
);

/** The part of the page under a heading, its own subheadings included. */
function section(heading: string): string {
  const [level] = /^#+/.exec(heading) ?? [''];
  const from = page.indexOf(`\n${heading}\n`);
  if (from < 0) throw new Error(`docs/api.md has no heading '${heading}'`);
  const rest = page.slice(from + heading.length + 1);
  const end = rest.search(new RegExp(`^#{1,${level.length}} `, 'm'));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The words of what stands in backticks: in fenced blocks and within lines. */
function wordsInCode(text: string): Set<string> {
  const fenced = text.match(/^```[\s\S]*?^```$/gm) ?? [];
  const inline = text.replace(/^```[\s\S]*?^```$/gm, '').match(/`[^`]+`/g) ?? [];
  return new Set([...fenced, ...inline].join(' ').match(/\w+/g));
}

const namesOf = (target: object) =>
  Reflect.ownKeys(target)
    .map((key) => (typeof key === 'symbol' ? (key.description as string).split('.')[1] : key))
    .filter((name) => !['constructor', 'length', 'name', 'prototype'].includes(name));

test.each([
  ['Writer', Writer, 10],
  ['Reader', Reader, 10],
  ['ManyReader', ManyReader, 10],
] as const)('every method and accessor of %s is in its section', (name, type, least) => {
  const names = [...namesOf(type), ...namesOf(type.prototype)];
  expect(names.length).toBeGreaterThan(least);
  const words = wordsInCode(section(`## ${name}`) + section('## Common to all'));
  expect(names.filter((member) => !words.has(member))).toEqual([]);
});

test('every Refusal has its row', () => {
  const rows = [...section('## `Refusal`').matchAll(/^\| `Refusal\.(\w+)` \| (-\d) \|/gm)];
  expect(Object.fromEntries(rows.map(([, name, value]) => [name, Number(value)]))).toEqual(Refusal);
});

describe('types', () => {
  const faces = ['index.ts', 'stream/index.ts', 'log/index.ts'].map((path) =>
    fileURLToPath(new URL(`../../lib/${path}`, import.meta.url)),
  );
  const program = ts.createProgram(faces, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    strict: true,
    types: ['node'],
  });
  const checker = program.getTypeChecker();
  const exported = faces
    .map((face) => checker.getSymbolAtLocation(program.getSourceFile(face) as ts.SourceFile) as ts.Symbol)
    .flatMap((module) => checker.getExportsOfModule(module))
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol));

  /** Whether users see it, and Millrace declares it. */
  const isSeen = (member: ts.Symbol) =>
    /^[a-z]\w*$/i.test(member.name) &&
    member.declarations?.every((declaration) => {
      const { fileName } = declaration.getSourceFile();
      const isPrivate = ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private;
      const isInternal = ts.getJSDocTags(declaration).some(({ tagName }) => tagName.text === 'internal');
      return fileName.includes('/lib/') && !fileName.includes('/node_modules/') && !isPrivate && !isInternal;
    });

  /** What users see of a type that Millrace declares: not what it inherits, nor what is its own business. */
  function membersOf(symbol: ts.Symbol): string[] {
    return checker
      .getDeclaredTypeOfSymbol(symbol)
      .getProperties()
      .filter(isSeen)
      .map(({ name }) => name);
  }

  const words = wordsInCode(page);
  const structures = exported.filter(
    ({ flags }) => flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class),
  );
  const tables = new Map(
    [...page.matchAll(/^#### `(\w+)`$/gm)].map(([heading, name]) => [name, section(heading)] as const),
  );

  /** Of what a function is given the properties that may be left out, but not be undefined. */
  function strictOf(type: ts.Type, seen: Set<ts.Type>): string[] {
    if (seen.has(type) || type.getCallSignatures().length > 0) return [];
    seen.add(type);
    if (type.isUnion()) return type.types.flatMap((one) => strictOf(one, seen));
    return type
      .getProperties()
      .filter(isSeen)
      .flatMap(({ name, valueDeclaration: said }) => {
        if (said === undefined || !ts.isPropertySignature(said) || said.type === undefined) return [];
        const declared = checker.getTypeFromTypeNode(said.type);
        const all = declared.isUnion() ? declared.types : [declared];
        const isStrict = said.questionToken && !all.some(({ flags }) => flags & ts.TypeFlags.Undefined);
        return [...(isStrict ? [name] : []), ...strictOf(declared, seen)];
      });
  }

  test('every option may be undefined, as good as left out, also for exactOptionalPropertyTypes', () => {
    const functions = exported.filter(
      ({ flags }) => flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Function),
    );
    const calls = functions.flatMap((symbol) => {
      const type = checker.getTypeOfSymbol(symbol);
      const members = [...type.getProperties(), ...checker.getDeclaredTypeOfSymbol(symbol).getProperties()];
      const methods = members.filter(isSeen).map((member) => checker.getTypeOfSymbol(member));
      return [type, ...methods].flatMap((called) => called.getCallSignatures());
    });
    const seen = new Set<ts.Type>();
    const given = calls.flatMap(({ parameters }) => parameters).map((one) => checker.getTypeOfSymbol(one));
    expect(given.flatMap((type) => strictOf(type, seen))).toEqual([]);
    expect(seen.size).toBeGreaterThan(50);
  });

  test('what an option is for is said where an editor shows it', () => {
    const given = structures.filter(({ name }) =>
      /Options$|^(Retention|Compaction|LogRecordInput)$/.test(name),
    );
    expect(given.length).toBeGreaterThan(15);
    const options = given.flatMap((symbol) =>
      checker.getDeclaredTypeOfSymbol(symbol).getProperties().filter(isSeen),
    );
    expect(options.length).toBeGreaterThan(50);
    const silent = options.filter((option) => option.getDocumentationComment(checker).length === 0);
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  test('every name that is exported is on the page', () => {
    expect(exported.length).toBeGreaterThan(30);
    expect(exported.map(({ name }) => name).filter((name) => !words.has(name))).toEqual([]);
  });

  test.each(structures.map((symbol) => [symbol.name, symbol] as const))(
    'every member of %s is on the page',
    (_, symbol) => {
      const members = membersOf(symbol);
      expect(members.length).toBeGreaterThan(0);
      expect(members.filter((member) => !words.has(member))).toEqual([]);
    },
  );

  test.each(['Log', 'Tail', 'NamedCursor'])('every member of %s is in the section of the log', (name) => {
    const members = membersOf(structures.find((structure) => structure.name === name) as ts.Symbol);
    expect(members.length).toBeGreaterThan(5);
    const inSection = wordsInCode(section('## millrace/log'));
    expect(
      [...members, ...(name === 'Log' ? namesOf(Log) : [])].filter((member) => !inSection.has(member)),
    ).toEqual([]);
  });

  test.each([...tables])('the table of %s has its members and no others', (name, text) => {
    const symbol = structures.find((structure) => structure.name === name) as ts.Symbol;
    const cells = [...text.matchAll(/^\| (`[^|]*`) \|/gm)].map(([, cell]) => cell);
    const rows = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, member]) => member));
    expect(rows.toSorted()).toEqual(membersOf(symbol).toSorted());
  });
});
