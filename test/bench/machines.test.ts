import { expect, test } from 'vitest';
import { machineText, softwareText, tellAll } from '../../bench/report/machines.js';

const measured = (title: string, cpu: string) => ({ trial: { title }, result: { cpu } });
const tell = (reported: ReturnType<typeof measured>[]) => tellAll(reported, ({ cpu }) => cpu);

test('a report says which machine was whose, where it was not the same for all', () => {
  const first = [measured('One', 'this'), measured('Two', 'this')];
  expect(tell(first)).toBe('this');
  const others = [measured('Four', 'that'), measured('Five', 'this')];
  expect(tell([measured('Three', 'that'), ...first, ...others])).toBe('this. But Three; Four: that');
});

test('what a figure means nothing without is told of it', () => {
  const machine = { cores: 2, cpu: 'this', memoryGiB: 24, kernel: '6.1', fileSystem: 'tmpfs', disk: 'ext4' };
  expect(machineText(machine)).toBe('2 cores of this, 24 GiB, Linux 6.1, channels on tmpfs, on disk: ext4');
  expect(softwareText({ millrace: '1.2.3', node: 'v20', compiler: 'cc' })).toBe(
    'Millrace 1.2.3, Node v20, cc',
  );
});
