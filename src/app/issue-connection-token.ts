import type { GrantId } from '#domain/id.ts';
import { connectionTokenIssued } from '#domain/events/credential-events.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import type { Identity } from './ports/identity.ts';

/** D09: long enough to paste, short enough to be worth nothing later. */
const TOKEN_SECONDS = 60;

export interface IssuedToken {
  readonly handle: string;
  readonly secret: string;
  readonly expiresAt: Date;
}

/**
 * A one-time secret for one connection under an active grant: made only now, from nothing prepared (A12), and never
 * living past the grant (B02). @throws Refusal `not_found`, `no_active_grant`, `quota_exceeded`
 */
export function issueConnectionToken(app: App, identity: Identity, actor: Actor, id: GrantId): Promise<IssuedToken> {
  return app.store.transaction(async (tx) => {
    await knowActor(tx, actor.id);
    const grant = await tx.grants.lock(id);
    if (!grant || grant.principal !== actor.id) throw new Refusal('not_found', 'there is no such grant of yours');
    if (grant.state !== 'active' || grant.deadline === null || grant.deadline <= tx.now) {
      throw new Refusal('no_active_grant', `the grant is ${grant.state}`, { hint: grant.state === 'ended' ? 'Ask for it anew: brevet request' : 'Wait until it is active.' });
    }
    if ((await tx.credentials.countTokens(actor.id, tx.now)) >= app.limits.liveTokensPerPrincipal) {
      throw new Refusal('quota_exceeded', `you hold ${app.limits.liveTokensPerPrincipal} unused tokens already`, { hint: 'They expire within a minute.' });
    }
    const { handle, secret, verifier } = identity.newConnectionToken();
    const expiresAt = new Date(Math.min(tx.now.getTime() + TOKEN_SECONDS * 1000, grant.deadline.getTime()));
    await tx.credentials.insertToken({ handle, grant: id, principal: actor.id, verifier, createdAt: tx.now, expiresAt });
    await tx.log(connectionTokenIssued(actor.id, id, expiresAt));
    return { handle, secret, expiresAt };
  });
}
