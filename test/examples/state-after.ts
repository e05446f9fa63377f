import { Accounts } from '../../examples/shared/accounts.js';
import { transfers } from '../../examples/shared/transfers.js';

/** What the state must be after so many transfers, without Millrace. */
export function stateAfter(count: number): string {
  const accounts = new Accounts();
  for (const transfer of transfers()) {
    if (accounts.transfers === count) break;
    accounts.apply(transfer);
  }
  return accounts.hash();
}
