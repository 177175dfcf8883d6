/**
 * What every implementation of the port `Store` must do. Each test gets a store of its own:
 *
 *     storeContract('postgres', async () => ({ store, keysDown, [Symbol.asyncDispose]: ... }));
 */
import { catalogueContract } from './catalogue.ts';
import { claimContract } from './claims.ts';
import { credentialContract } from './credentials.ts';
import { grantContract } from './grants.ts';
import { logContract } from './log.ts';
import { partContract } from './parts.ts';
import { principalContract } from './principals.ts';
import { requestContract } from './requests.ts';
import { rootKeyContract } from './root-keys.ts';
import { sessionContract } from './sessions.ts';
import { transactionContract } from './transactions.ts';
import type { OpenStore } from './under-test.ts';

export function storeContract(name: string, open: OpenStore): void {
  const subjects = [
    transactionContract, principalContract, catalogueContract, logContract,
    requestContract, grantContract, partContract, claimContract,
    sessionContract, credentialContract, rootKeyContract,
  ];
  for (const contract of subjects) contract(name, open);
}
