import type { GrantId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { takeAway } from './take-away.ts';
import { mayRevoke } from './visibility.ts';

/**
 * An administrator, or somebody who approved it or could have, takes a grant away. Revoking what already ends is fine:
 * taking away is never refused for its state.
 * @throws Refusal `not_found` for whoever may not know of it
 */
export async function revokeGrant(app: App, actor: Actor, id: GrantId, note: string): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    const grant = await tx.grants.lock(id);
    if (!grant || !mayRevoke(known, grant)) throw new Refusal('not_found', 'there is no such grant');
    await takeAway(tx, [grant], 'revoked', actor.id, note);
  });
}
