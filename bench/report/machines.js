export function machineText({ cores, cpu, memoryGiB, kernel, fileSystem, disk }) {
  return `${cores} cores of ${cpu}, ${memoryGiB} GiB, Linux ${kernel}, channels on ${fileSystem}, on disk: ${disk}`;
}

export function softwareText({ millrace, node, compiler }) {
  return `Millrace ${millrace}, Node ${node}, ${compiler}`;
}

/**
 * What `textOf` says of all results, that of the most trials first; where they are several, with which trials' they are.
 *
 * @param {any[]} reported
 * @param {(result: any) => string} textOf
 */
export function tellAll(reported, textOf) {
  const told = new Map();
  for (const { trial, result } of reported) {
    const text = textOf(result);
    told.set(text, [...(told.get(text) ?? []), trial.title]);
  }
  const [[most], ...others] = [...told].sort(([, a], [, b]) => b.length - a.length);
  return [most, ...others.map(([text, titles]) => `But ${titles.join('; ')}: ${text}`)].join('. ');
}
