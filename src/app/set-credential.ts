import { credentialSet } from '#domain/events/administration-events.ts';
import type { TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { setTargetSecret } from './target-access.ts';

/** An administrator replaces Brevet's own secret for a target, or that of one of its accounts. @throws Refusal `forbidden` */
export async function setCredential(app: App, actor: Actor, target: TargetId, account: string | null, secret: string): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators set credentials');
    // All secrets of a target are sealed as one: two who set different ones at once must not undo each other.
    await tx.catalogue.lockAll();
    await setTargetSecret(app, tx, target, account, secret);
    await tx.log(credentialSet(target, account, actor.id));
  });
}
