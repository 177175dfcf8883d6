import { passwordSet } from '#domain/events/administration-events.ts';
import type { KeyId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { Identity } from '../ports/identity.ts';

/** Sets one's own password: a second way to enrol a key. @throws Refusal `invalid_input` for a weak one, `forbidden` */
export async function setPassword(app: App, identity: Identity, actor: Actor, password: string): Promise<void> {
  const hash = await identity.hashPassword(password);
  await app.store.transaction(async (tx) => {
    const { principal } = await knowActor(tx, actor.id);
    if (principal.kind !== 'person') throw new Refusal('forbidden', 'only people have passwords');
    // A password set with a key that somebody else arranged is no better than that key.
    const key = await tx.credentials.key(actor.authentication.by as KeyId);
    await tx.principals.setPassword(actor.id, hash, key?.issuedBy ?? null);
    await tx.log(passwordSet(actor.id));
  });
}
