import { personErased } from '#domain/events/administration-events.ts';
import type { PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';

/** Destroys the key of somebody's personal parts in the log: proofs hold, the words are gone. They must be disabled. */
export async function erasePrincipal(app: App, actor: Actor, id: PrincipalId): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators erase personal data');
    const principal = await tx.principals.lock(id);
    if (!principal) throw new Refusal('not_found', 'there is no such identity');
    if (principal.disabledAt === null) throw new Refusal('wrong_state', 'disable the identity first', { hint: `brevet people disable ${principal.name}` });
    if (await tx.principals.eraseSubject(id)) await tx.log(personErased(id, actor.id));
  });
}
