import type { GrantId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { takeAway } from './take-away.ts';

/**
 * An administrator, or somebody who approved it or could have, takes a grant away. Revoking what already ends is fine:
 * taking away is never refused for its state.
 * @throws Refusal `not_found` for whoever may not know of it
 */
export async function revokeGrant(app: App, actor: Actor, id: GrantId, note: string): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    const grant = await tx.grants.lock(id);
    const mine = new Set(known.memberships.map((membership) => membership.group));
    const isReviewer = grant?.entitlement.stages.some((stage) => stage.groups.some((group) => mine.has(group)));
    if (!grant || !(known.principal.administrator || isReviewer)) throw new Refusal('not_found', 'there is no such grant');
    await takeAway(tx, [grant], 'revoked', actor.id, note);
  });
}
