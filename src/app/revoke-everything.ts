import { requestCancelled } from '#domain/events/request-events.ts';
import type { EntitlementId, GrantId, PrincipalId, RequestId, TargetId } from '#domain/id.ts';
import type { EndReason } from '#domain/lifecycle.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import type { Tx } from './ports/store.ts';
import { takeAway } from './take-away.ts';

export interface Taken {
  readonly grants: readonly GrantId[];
  readonly requests: readonly RequestId[];
  readonly sessions: number;
}

/** Everything of a principal, or on a target, in one action. @throws Refusal `forbidden` unless an administrator asks */
export function revokeEverything(app: App, actor: Actor, of: { principal: PrincipalId } | { target: TargetId }, note: string): Promise<Taken> {
  return app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators revoke everything at once');
    if ('target' in of) return await takeGrants(tx, of, 'revoked', actor.id, note);
    await tx.principals.lock(of.principal);
    return await takeFromPrincipals(tx, [of.principal], 'revoked', actor.id, note);
  });
}

/**
 * Grants held by, or held for, principals; and their pending requests, so that nothing is granted a moment later. They
 * are locked by the caller; all requests go before all grants, in the order that ports/store.ts sets.
 */
export async function takeFromPrincipals(tx: Tx, principals: readonly PrincipalId[], reason: EndReason, actor: PrincipalId | 'system', note: string | null): Promise<Taken> {
  const requests: RequestId[] = [];
  for (const principal of principals) requests.push(...(await withdrawPending(tx, { principal }, actor, note)));
  const taken = await takeGrants(tx, { principal: principals }, reason, actor, note);
  return { ...taken, requests };
}

/** Requests of somebody, or for an entitlement, that nobody may decide any more. */
export async function withdrawPending(tx: Tx, of: { principal: PrincipalId } | { entitlement: EntitlementId }, actor: PrincipalId | 'system', note: string | null): Promise<RequestId[]> {
  const requests: RequestId[] = [];
  const pending = await tx.requests.list({ ...of, state: 'pending' }, { before: null, limit: 10_000 });
  for (const { id } of pending.toReversed()) {
    const request = await tx.requests.lock(id);
    if (request?.state !== 'pending') continue;
    await tx.requests.decide(request.id, 'cancelled', tx.now, note);
    await tx.log(requestCancelled(request, actor === 'system' ? request.principal : actor));
    await tx.notify('requests', request.id);
    requests.push(request.id);
  }
  return requests;
}

async function takeGrants(tx: Tx, of: { principal: readonly PrincipalId[] } | { target: TargetId }, reason: EndReason, actor: PrincipalId | 'system', note: string | null): Promise<Taken> {
  const grants = await tx.grants.lockLive(of);
  const filters = 'target' in of ? [of] : of.principal.map((principal) => ({ principal }));
  let sessions = 0;
  for (const filter of filters) sessions += (await tx.sessions.list({ ...filter, live: true }, { before: null, limit: 100_000 })).length;
  await takeAway(tx, grants, reason, actor, note);
  return { grants: grants.filter((g) => g.state !== 'revoking').map((g) => g.id), requests: [], sessions };
}
