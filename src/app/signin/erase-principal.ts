import { personErased } from '#domain/events/administration-events.ts';
import type { Principal } from '#domain/principal.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { Tx } from '../ports/store.ts';
import { bearerOfErasedName, keepErasedName, pseudonymOf } from './erased-name.ts';

/**
 * Takes out, for ever, what names or describes somebody: the key of their personal parts in the log, names, reasons,
 * tickets, words of reviews, addresses, recordings. Ids, instants, numbers and every proof stay. Again it does nothing.
 * @throws Refusal `forbidden`, `not_found`, `wrong_state` while they are enabled or anything of theirs is not over
 */
export async function erasePrincipal(app: App, actor: Actor, name: string): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators erase personal data');
    const found = await tx.principals.byName(name);
    const principal = found && (await tx.principals.lock(found.id));
    // Also of two who erase the same person at once, the second finds the name gone.
    if (!principal || principal.name !== name) {
      if (await bearerOfErasedName(app, tx, name)) return;
      throw new Refusal('not_found', `there is nobody called "${name}"`);
    }
    if ((await tx.principals.erasedAt(principal.id)) !== null) return;
    await refuseWhileLive(tx, principal);
    await keepErasedName(app, tx, principal.id, name);
    const erased = await tx.principals.erase(principal.id, { name: pseudonymOf(principal.id), displayName: `Erased ${principal.kind}` });
    if (erased) await tx.log(personErased(principal.id, erased, actor.id));
  });
}

/** What still works for them must be seen to be theirs, by those who end it. */
async function refuseWhileLive(tx: Tx, { id, name, disabledAt }: Principal): Promise<void> {
  if (disabledAt === null) throw new Refusal('wrong_state', 'disable the identity first', { hint: `brevet people disable ${name}` });
  const { grants, sessions, requests } = await tx.principals.live(id);
  if (grants + sessions + requests === 0) return;
  throw new Refusal('wrong_state', `not everything of theirs is over: ${grants} grants, ${sessions} sessions, ${requests} pending requests`, {
    hint: `brevet people disable ${name} --yes ends what is left; then wait until the removals are verified (brevet grants --all).`,
  });
}
