import { keyRevoked } from '#domain/events/administration-events.ts';
import type { KeyId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';

/** One's own key, or any for an administrator. @throws Refusal `not_found` */
export async function revokeKey(app: App, actor: Actor, id: KeyId): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    const key = await tx.credentials.key(id);
    if (!key || !(key.principal === actor.id || known.principal.administrator)) throw new Refusal('not_found', 'there is no such key');
    if (await tx.credentials.revokeKey(id, tx.now)) await tx.log(keyRevoked(key.principal, id, actor.id));
  });
}
