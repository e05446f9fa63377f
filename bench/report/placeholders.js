import { number, scaleFor } from '../harness/units.js';
import { machineText, softwareText, tellAll } from './machines.js';
import { cell } from './markdown.js';
import { barsOf } from './results.js';
import { sectionOf, slug } from './sections.js';

/**
 * The template with what stands in its double braces:
 *   machine                              what all of it was measured on
 *   bars                                 what must be reached, and whether it is
 *   trials                               a section for each trial
 *   figure TRIAL | GROUP | ROW | FIGURE  one figure, with its unit
 *   ratio TRIAL | GROUP | ROW            a row's ratio, without its base
 *   base TRIAL | GROUP | ROW             that base
 */
export function fillIn(template, reported, pictures) {
  const missing = [];
  const text = template.replace(/\{\{(\w+)\s*([^}]*)\}\}/g, (whole, kind, words) => {
    const value = makers[kind]?.(
      reported,
      words.split('|').map((word) => word.trim()),
      pictures,
    );
    if (value === undefined) missing.push(whole);
    return value ?? whole;
  });
  if (missing.length > 0) throw new Error(`the results have nothing for\n  ${missing.join('\n  ')}`);
  return text;
}

const makers = {
  machine(reported) {
    const software = tellAll(reported, ({ machine }) => softwareText(machine));
    const machines = tellAll(reported, ({ machine }) => machineText(machine));
    const days = [...new Set(reported.map(({ result: { when } }) => when.slice(0, 10)))].sort();
    return `${software}; measured ${days.join(', ')} on ${machines}`;
  },

  bars(reported) {
    const rows = barsOf(reported).map(({ trial, group, name, measured, verdict: { kind, text, word } }) => {
      const where = `[${trial.title}](#${slug(trial.title)})${group === undefined ? '' : `: ${group}`}`;
      const figure = [measured.text, measured.of && `(${measured.of})`].filter(Boolean).join(' ');
      return `| ${[name, where, text, figure, kind === 'met' ? word : `**${word}**`].map(cell).join(' | ')} |`;
    });
    return ['| who | where | bar | measured | |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
  },

  trials: (reported, _words, pictures) => reported.map((one) => sectionOf(one, pictures)).join('\n\n'),

  figure(reported, [trial, group, row, figure]) {
    const found = rowOf(reported, trial, group, row)?.figures?.[figure];
    if (found === undefined) return undefined;
    const { multiply, unit } = scaleFor(found.unit, [found.median]);
    return `${number(found.median * multiply)} ${unit}`.trim();
  },

  ratio: (reported, [trial, group, row]) => {
    const ratio = rowOf(reported, trial, group, row)?.ratio;
    return ratio && number(ratio.median);
  },

  base: (reported, [trial, group, row]) => rowOf(reported, trial, group, row)?.ratio?.to,
};

function rowOf(reported, trial, group, name) {
  const rows = reported.find((one) => one.trial.name === trial)?.rows ?? [];
  return rows.find((row) => row.group === group && row.name === name);
}
