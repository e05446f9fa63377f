/** What trials were measured on: [{ text, trials }], that of the most trials first. */
export function machinesOf(reported) {
  const machines = new Map();
  for (const { trial, result } of reported) {
    const text = machineText(result.machine);
    machines.set(text, [...(machines.get(text) ?? []), trial]);
  }
  return [...machines]
    .map(([text, trials]) => ({ text, trials }))
    .sort((a, b) => b.trials.length - a.trials.length);
}

export function machineText({ cores, cpu, memoryGiB, kernel }) {
  return `${cores} cores of ${cpu}, ${memoryGiB} GiB, Linux ${kernel}`;
}

/** All of them in words; where they are several, with what was measured on which. */
export function tellMachines(reported) {
  const [most, ...others] = machinesOf(reported);
  const told = others.map(({ text, trials }) => `${trials.map(({ title }) => title).join('; ')}: on ${text}`);
  return told.length === 0 ? most.text : `${most.text}. But ${told.join('. ')}`;
}
