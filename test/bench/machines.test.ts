import { expect, test } from 'vitest';
import { tellMachines } from '../../bench/report/machines.js';

const measured = (title: string, cpu: string) => ({
  trial: { title },
  result: { machine: { cores: 2, cpu, memoryGiB: 24, kernel: '6.1' } },
});

test('a report says which machine was whose, where it was not the same for all', () => {
  const first = [measured('One', 'this'), measured('Two', 'this')];
  expect(tellMachines(first)).toBe('2 cores of this, 24 GiB, Linux 6.1');
  expect(
    tellMachines([measured('Three', 'that'), ...first, measured('Four', 'that'), measured('Five', 'this')]),
  ).toBe('2 cores of this, 24 GiB, Linux 6.1. But Three; Four: on 2 cores of that, 24 GiB, Linux 6.1');
});
