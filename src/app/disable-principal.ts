import { principalDisabled, principalEnabled } from '#domain/events/administration-events.ts';
import type { PersonId, PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { takeFromPrincipals, type Taken } from './revoke-everything.ts';

/**
 * Shuts somebody out: their grants end, their sessions are cut, their requests are withdrawn, and so are those of the
 * workloads they own (B13). @throws Refusal `forbidden`, `not_found`, `wrong_state` for the last administrator
 */
export function disablePrincipal(app: App, actor: Actor, id: PrincipalId): Promise<Taken> {
  return app.store.transaction(async (tx) => {
    // One after the other: the last two administrators must not shut each other out at once.
    if ((await tx.principals.byId(id))?.administrator) await tx.catalogue.lockAll();
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators disable an identity');
    const principal = await tx.principals.lock(id);
    if (!principal) throw new Refusal('not_found', 'there is no such identity');
    const everybody = await tx.principals.all();
    if (!everybody.some((other) => other.administrator && other.disabledAt === null && other.id !== id)) {
      throw new Refusal('wrong_state', 'this is the last administrator', { hint: 'Make somebody else an administrator first.' });
    }
    if (principal.disabledAt === null) {
      await tx.principals.update({ ...principal, disabledAt: tx.now });
      await tx.log(principalDisabled(id, actor.id));
    }
    const owned = principal.kind === 'person' ? (await tx.principals.ownedBy(id as PersonId)).map((workload) => workload.id).toSorted() : [];
    for (const workload of owned) await tx.principals.lock(workload);
    const taken = await takeFromPrincipals(tx, [id, ...owned], 'identity_disabled', actor.id, null);
    // Enabled again, they do not find what they had got before still good.
    for (const one of [id, ...owned]) await tx.credentials.revokeIssued(one, tx.now);
    return taken;
  });
}

/** @throws Refusal `forbidden`, `not_found`, `wrong_state` for somebody who was erased */
export async function enablePrincipal(app: App, actor: Actor, id: PrincipalId): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators enable an identity');
    const principal = await tx.principals.lock(id);
    if (!principal) throw new Refusal('not_found', 'there is no such identity');
    if (principal.disabledAt === null) return;
    if ((await tx.principals.erasedAt(id)) !== null) throw new Refusal('wrong_state', 'this identity was erased: nobody is behind it any more');
    await tx.principals.update({ ...principal, disabledAt: null });
    await tx.log(principalEnabled(id, actor.id));
  });
}
