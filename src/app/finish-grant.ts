import type { GrantId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { takeAway } from './take-away.ts';
import { isOwn } from './visibility.ts';

/** The holder, their owner or the person it was held for gives access back. Again and again is fine. @throws Refusal `not_found` */
export async function finishGrant(app: App, actor: Actor, id: GrantId): Promise<void> {
  await app.store.transaction(async (tx) => {
    await knowActor(tx, actor.id);
    const grant = await tx.grants.lock(id);
    const holder = grant && (await tx.principals.byId(grant.principal));
    if (!grant || !isOwn(actor.id, grant, holder?.owner ?? null)) {
      throw new Refusal('not_found', 'there is no such grant of yours');
    }
    await takeAway(tx, [grant], 'completed', actor.id, null);
  });
}
