import { checkDuration, formatDuration } from '#domain/duration.ts';
import { approvalDeniedSelf, requestApproved, requestDenied, reviewGiven } from '#domain/events/request-events.ts';
import type { KeyId, PersonId, PrincipalId, RequestId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { requestHash, type AccessRequest } from '#domain/request.ts';
import { agreedDuration, agreedScope, analyzeReview, progressOf, type Narrowing, type Review } from '#domain/review.ts';
import { actorContext, isDisabled, knowActor, knowPrincipal, policyPrincipal, type Actor } from './actor.ts';
import { connectorFor, type App } from './app.ts';
import { currentPolicies, demand, policyResource } from './ask-policy.ts';
import { becomeGrant } from './become-grant.ts';
import type { Tx } from './ports/store.ts';

export interface ReviewInput {
  readonly decision: 'approve' | 'deny';
  /** The request's hash as the reviewer saw it. */
  readonly hash: string;
  readonly reason: string | null;
  readonly durationSeconds: number | null;
  readonly scopes: Readonly<Record<string, JsonObject>> | null;
}

/**
 * One reviewer decides. Everything is read again inside this transaction, under the requester's and the request's lock: who the reviewer is
 * now, the groups, the policy, the other reviews (A03). One denial ends it; the last approval of the last stage makes
 * the grant.
 * @throws Refusal `own_request`, `not_a_reviewer`, `already_reviewed`, `wrong_state`, `stale_hash`, `policy_denied`,
 * `scope_too_wide`, `duration_too_long`, `not_found`
 */
export async function reviewRequest(app: App, actor: Actor, id: RequestId, input: ReviewInput): Promise<AccessRequest> {
  try {
    return await app.store.transaction((tx) => reviewIn(app, tx, actor, id, input));
  } catch (error) {
    if (error instanceof Refusal && error.code === 'own_request') await tellSelfReview(app, actor, id);
    throw error;
  }
}

async function reviewIn(app: App, tx: Tx, actor: Actor, id: RequestId, input: ReviewInput): Promise<AccessRequest> {
  // The requester first, then the request (ports/store.ts): a disabling takes them in the same order.
  const asked = await tx.requests.byId(id);
  if (asked) await tx.principals.lock(asked.principal);
  const request = await tx.requests.lock(id);
  if (!request) throw new Refusal('not_found', 'there is no such request');
  const reviewer = await knowActor(tx, actor.id);
  const requester = await knowPrincipal(tx, request.principal);
  if (!requester) throw new Refusal('not_found', 'there is no such request');
  const reviews = await tx.requests.reviews(id);
  const analysis = analyzeReview(request, reviews, { reviewer: reviewer.principal, memberships: reviewer.memberships, requester: requester.principal }, tx.now);
  const [obstacle] = analysis.unsatisfied;
  if (obstacle) throw new Refusal(obstacle.code, obstacle.message, { facts: { unsatisfied: analysis.unsatisfied.map((u) => u.message) } });
  await refuseArranged(tx, actor, [request.principal, request.onBehalfOf, requester.principal.owner]);
  // Computed again: a row that was changed behind the store's back does not go by the hash of what it was (A04).
  if (input.hash !== request.hash || requestHash(request) !== request.hash) {
    throw new Refusal('stale_hash', 'the hash is not that of this request', { field: '/hash', hint: 'Read the request again: you decide on exactly what you saw.' });
  }
  if (input.decision === 'deny' && input.reason === null) throw new Refusal('invalid_input', 'a denial needs a reason', { field: '/reason' });

  const policies = await currentPolicies(tx);
  demand(app, policies, {
    action: 'review',
    principal: policyPrincipal(reviewer),
    resource: await policyResource(tx, request.entitlement),
    context: { ...actorContext(actor, tx.now), durationSeconds: request.durationSeconds, requester: requester.principal.name },
  });
  const narrowed = input.decision === 'approve' ? await checkNarrowing(app, tx, request, reviews, input) : null;
  const review: Review = {
    id: app.newId('review', tx.now),
    request: id,
    requestHash: request.hash,
    stage: analysis.stage,
    reviewer: reviewer.principal.id as PersonId,
    decision: input.decision,
    reason: input.reason,
    narrowed,
    authentication: actor.authentication,
    createdAt: tx.now,
  };
  await tx.requests.insertReview(review);
  await tx.log(reviewGiven(request, review));
  await tx.notify('requests', id);
  if (input.decision === 'deny') {
    await tx.requests.decide(id, 'denied', tx.now, input.reason);
    await tx.log(requestDenied(request, actor.id));
    return { ...request, state: 'denied', decidedAt: tx.now, decisionReason: input.reason };
  }
  const all = [...reviews, review];
  if (!progressOf(request.entitlement.stages, all).done) return request;
  if (isDisabled(requester)) throw new Refusal('wrong_state', 'the requester is disabled');
  await tx.requests.decide(id, 'approved', tx.now, null);
  await tx.log(requestApproved(request, actor.id, 'reviewers'));
  const approved: AccessRequest = { ...request, state: 'approved', decidedAt: tx.now };
  await becomeGrant(app, tx, approved, all, actor.id);
  return approved;
}

/**
 * Invariant 2, by the long way round: whoever issued the sign-in that this key goes back to could be the one who uses
 * it. A requester who administers Brevet would otherwise decide under a reviewer's name.
 */
async function refuseArranged(tx: Tx, actor: Actor, asking: readonly (PrincipalId | null)[]): Promise<void> {
  const key = await tx.credentials.key(actor.authentication.by as KeyId);
  if (key && (key.issuedBy === null || !asking.includes(key.issuedBy))) return;
  throw new Refusal('own_request', 'your sign-in was arranged by the requester', {
    hint: 'Another administrator issues you a sign-in link (brevet people link NAME), and you decide with the key it makes.',
  });
}

/** A reviewer may cut, never widen: not the time, and not the scope, against what was agreed so far. */
async function checkNarrowing(app: App, tx: Tx, request: AccessRequest, reviews: readonly Review[], input: ReviewInput): Promise<Narrowing | null> {
  if (input.durationSeconds === null && input.scopes === null) return null;
  if (input.scopes !== null && request.extendsGrant !== null) {
    throw new Refusal('invalid_input', 'an extension moves the deadline and nothing else: its scope is that of the grant', { field: '/scopes' });
  }
  const agreed = agreedDuration(request, reviews);
  if (input.durationSeconds !== null && checkDuration(input.durationSeconds) > agreed) {
    throw new Refusal('duration_too_long', `the request stands at ${formatDuration(agreed)}: a reviewer can shorten it, not lengthen it`, { field: '/duration' });
  }
  const scopes: Record<string, JsonObject> = {};
  for (const [ordinal, scope] of Object.entries(input.scopes ?? {})) {
    const part = request.entitlement.parts[Number(ordinal)];
    const target = part && (await tx.catalogue.target(part.target));
    if (!part || !target) throw new Refusal('invalid_input', `the request has no part ${ordinal}`, { field: `/scopes/${ordinal}` });
    const connector = connectorFor(app, target.type);
    const narrow = connector.parseScope(part.kind, scope);
    if (!connector.within(narrow, agreedScope(Number(ordinal), part.scope, reviews))) {
      throw new Refusal('scope_too_wide', 'the narrowed scope allows something that was not asked for', { field: `/scopes/${ordinal}` });
    }
    scopes[ordinal] = narrow;
  }
  return {
    ...(input.durationSeconds === null ? {} : { durationSeconds: input.durationSeconds }),
    ...(input.scopes === null ? {} : { scopes }),
  };
}

/** The attempt itself is told, in a transaction of its own: the other one rolled back. */
async function tellSelfReview(app: App, actor: Actor, id: RequestId): Promise<void> {
  await app.store.transaction(async (tx) => {
    const request = await tx.requests.byId(id);
    if (request) await tx.log(approvalDeniedSelf(request, actor.id));
  });
}
