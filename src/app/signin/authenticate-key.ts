import type { KeyId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { isDisabled, knowPrincipal, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { EnrolledKey } from '../ports/credential-table.ts';
import type { Tx } from '../ports/store.ts';

/** Reads the key that a signed request names. `null` for one that is unknown or revoked. */
export async function findKey(tx: Tx, id: KeyId): Promise<EnrolledKey | null> {
  const key = await tx.credentials.key(id);
  return key && key.revokedAt === null ? key : null;
}

/**
 * After the signature was found good: spends its nonce and answers who calls. `spend` is false for requests that change
 * nothing, whose replay within the minute tells nobody anything new.
 * @throws Refusal `unauthenticated` for a replay, a revoked key, a disabled identity
 */
export function authenticateKey(app: App, id: KeyId, nonce: string, spend: boolean, clientAddress: string | null): Promise<Actor> {
  return app.store.transaction(async (tx) => {
    const key = await tx.credentials.key(id);
    const known = key && key.revokedAt === null ? await knowPrincipal(tx, key.principal) : null;
    if (!key || !known || isDisabled(known)) throw new Refusal('unauthenticated', 'this key is not enrolled, or its identity is disabled', { hint: 'Sign in: brevet login' });
    if (spend && !(await tx.credentials.spendNonce(id, nonce, tx.now))) throw new Refusal('unauthenticated', 'this signed request was seen before');
    if (spend) await tx.credentials.touchKey(id, tx.now);
    return {
      id: key.principal,
      authentication: { method: key.signInMethod, at: key.signedInAt, phishingResistant: false, by: key.id },
      clientAddress,
    };
  });
}
