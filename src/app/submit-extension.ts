import type { GrantId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Actor } from './actor.ts';
import type { App } from './app.ts';
import { submitIn } from './submit-request.ts';

export interface ExtensionInput {
  readonly duration: number | string;
  readonly reason: string;
  readonly ticket: string | null;
}

/** Asks for more time on a live grant: a request like any other, judged anew. @throws Refusal `not_found`, `wrong_state` */
export function submitExtension(app: App, actor: Actor, id: GrantId, input: ExtensionInput): Promise<AccessRequest> {
  return app.store.transaction(async (tx) => {
    const grant = await tx.grants.byId(id);
    if (!grant || grant.principal !== actor.id) throw new Refusal('not_found', 'there is no such grant of yours');
    if (grant.state !== 'active' || grant.deadline === null || grant.deadline <= tx.now) {
      throw new Refusal('wrong_state', `a grant that is ${grant.state} can't be extended`, { hint: 'Ask for it anew: brevet request' });
    }
    return await submitIn(app, tx, actor, {
      entitlement: grant.entitlement.name,
      reason: input.reason,
      ticket: input.ticket,
      duration: input.duration,
      startAt: null,
      onBehalfOf: grant.onBehalfOf === null ? null : ((await tx.principals.byId(grant.onBehalfOf))?.name ?? null),
      extends: grant,
    });
  });
}
