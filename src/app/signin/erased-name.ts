/**
 * Names are never given twice, so that a policy that names somebody can't come to mean somebody else (A07); and the name
 * of somebody who was erased must not stand anywhere. So its HMAC-SHA-256 is kept, under a key of Brevet's own: who holds a
 * dump without the root key can't try out names on it.
 */
import { createHmac } from 'node:crypto';
import type { PrincipalId } from '#domain/id.ts';
import type { App } from '../app.ts';
import { ownKeyIdentity } from '../ports/sealed-identity.ts';
import type { Tx } from '../ports/store.ts';

export const ERASED_PREFIX = 'erased-';
const KEY = 'erased_names';

type Parts = Pick<App, 'secrets' | 'random'>;

/** Stable, and tells no more than the id, which stands in the log anyway. */
export const pseudonymOf = (id: PrincipalId) => `${ERASED_PREFIX}${id.slice('per_'.length)}`;

export async function keepErasedName(app: Parts, tx: Tx, id: PrincipalId, name: string): Promise<void> {
  const held = await tx.credentials.ownKey(KEY)
    ?? await tx.credentials.keepOwnKey(KEY, app.secrets.seal(app.random.bytes(32), ownKeyIdentity(KEY)), '', tx.now);
  await tx.principals.keepErasedName(id, hashOf(app.secrets.open(held.sealed, ownKeyIdentity(KEY)), name));
}

/** Who bore this name before they were erased, if anybody did. */
export async function bearerOfErasedName(app: Pick<Parts, 'secrets'>, tx: Tx, name: string): Promise<PrincipalId | null> {
  const held = await tx.credentials.ownKey(KEY);
  return held && tx.principals.byErasedName(hashOf(app.secrets.open(held.sealed, ownKeyIdentity(KEY)), name));
}

function hashOf(key: Uint8Array, name: string): string {
  return createHmac('sha256', key).update(name).digest('hex');
}
