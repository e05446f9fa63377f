import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { tail } from '../../lib/cli/channel/tail.js';
import type { Verb } from '../../lib/cli/command.js';
import { asObject } from '../../lib/cli/payload.js';
import { VERBS } from '../../lib/cli/verbs.js';

const page = readFileSync(new URL('../../docs/command.md', import.meta.url), 'utf8');
const verbs: readonly Verb[] = VERBS.flatMap((one) => ('verbs' in one ? one.verbs : [one]));

describe.each(verbs.map((verb) => [verb.name, verb] as const))('%s', (name, verb) => {
  test('its help has all its options and no others', () => {
    const inHelp = new Set([...verb.help.matchAll(/--([a-z][a-z0-9-]*)/g)].map(([, option]) => option));
    const words = Object.keys(verb.options);
    expect(words.filter((option) => !inHelp.has(option))).toEqual([]);
    const examples = verb.help.indexOf('\nExamples\n');
    expect(examples).toBeGreaterThan(0);
    const explained = [...verb.help.slice(0, examples).matchAll(/^ {2}(?:-\w, )?--([a-z0-9-]+)/gm)];
    expect(explained.map(([, option]) => option).filter((option) => !words.includes(option))).toEqual([]);
  });

  test('its help has what is short for an option, and what follows does so by -f', () => {
    for (const [option, { short }] of Object.entries(verb.options)) {
      if (short !== undefined) expect(verb.help).toMatch(new RegExp(`^ {2}-${short}, --${option} `, 'm'));
      if (option === 'follow') expect(short).toBe('f');
    }
  });

  test('no line of its help is longer than a terminal is wide', () => {
    expect(verb.help.split('\n').filter((line) => line.length > 132)).toEqual([]);
  });

  test('docs/command.md has it', () => {
    expect(page).toContain(`| \`${name} `);
  });
});

test('what a record is with --json is as the help of tail and docs/command.md have it', () => {
  const record = { position: 0, record: 0, type: 0, timestamp: 0, tag: 0 };
  const row = page.split('\n').find((line) => line.startsWith('| `dump ')) ?? '';
  for (const data of [Buffer.from('text'), Buffer.from([0xff])]) {
    for (const name of Object.keys(asObject({ ...record, data, value: data }, 'auto'))) {
      expect(tail.help).toMatch(new RegExp(`\\b${name}\\b`));
      expect(row).toContain(`\`${name}\``);
    }
  }
});
