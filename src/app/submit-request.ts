import { requestApproved, requestSubmitted } from '#domain/events/request-events.ts';
import { Refusal } from '#domain/refusal.ts';
import { requestHash, type AccessRequest, type RequestTerms } from '#domain/request.ts';
import type { Actor } from './actor.ts';
import type { App } from './app.ts';
import { deniedBecause } from './ask-policy.ts';
import { becomeGrant } from './become-grant.ts';
import { judgeRequest, type Judgement, type RequestInput } from './judge-request.ts';
import { verdictJson } from './ports/policy.ts';
import type { Tx } from './ports/store.ts';

/**
 * Sends a request. Policy refuses it at once, approves it at once, or leaves it pending for the reviewers.
 * @throws Refusal `policy_denied`, `no_approval_path`, `quota_exceeded`, and what `judgeRequest` throws
 */
export function submitRequest(app: App, actor: Actor, input: RequestInput): Promise<AccessRequest> {
  return app.store.transaction((tx) => submitIn(app, tx, actor, input));
}

export async function submitIn(app: App, tx: Tx, actor: Actor, input: RequestInput): Promise<AccessRequest> {
  const judgement = await judgeRequest(app, tx, actor, input);
  refuseIfHopeless(judgement);
  await holdQuota(app, tx, actor);
  const terms: RequestTerms = {
    id: app.newId('request', tx.now),
    principal: actor.id,
    onBehalfOf: judgement.onBehalfOf,
    entitlementId: judgement.entitlement.id,
    entitlement: judgement.entitlement,
    extendsGrant: input.extends?.id ?? null,
    reason: input.reason,
    ticket: input.ticket,
    durationSeconds: judgement.durationSeconds,
    startAt: input.startAt,
    createdAt: tx.now,
    expiresAt: new Date(tx.now.getTime() + app.limits.requestTtlSeconds * 1000),
    policyVersion: judgement.policies.version,
  };
  const verdict = judgement.outcome === 'approved_by_policy' ? judgement.autoApprove : judgement.request;
  const request: AccessRequest = {
    ...terms, state: 'pending', verdict: verdictJson(verdict), hash: requestHash(terms), decidedAt: null, decisionReason: null, erasedAt: null,
  };
  await tx.requests.insert(request);
  await tx.log(requestSubmitted(request, actor.id));
  await tx.notify('requests', request.id);
  if (judgement.outcome !== 'approved_by_policy') return request;

  await tx.requests.decide(request.id, 'approved', tx.now, null);
  const approved: AccessRequest = { ...request, state: 'approved', decidedAt: tx.now };
  await tx.log(requestApproved(approved, 'system', 'policy'));
  await becomeGrant(app, tx, approved, [], 'system');
  return approved;
}

function refuseIfHopeless({ request, outcome, entitlement }: Judgement): void {
  if (!request.allowed) {
    throw new Refusal('policy_denied', deniedBecause(request, 'request'), { facts: { verdict: verdictJson(request) } });
  }
  if (outcome === 'refused') {
    throw new Refusal('no_approval_path', `nobody could approve this: ${entitlement.name} has no approval stage, and policy does not approve it by itself`, {
      hint: 'Ask an administrator to give it a stage (brevet policy lint finds such entitlements).',
    });
  }
}

/** H02: nobody floods the reviewers. The principal's row is locked so that racers are counted one after the other. */
async function holdQuota(app: App, tx: Tx, actor: Actor): Promise<void> {
  await tx.principals.lock(actor.id);
  if ((await tx.requests.countPending(actor.id)) >= app.limits.pendingRequestsPerPrincipal) {
    throw new Refusal('quota_exceeded', `you have ${app.limits.pendingRequestsPerPrincipal} pending requests already`, { hint: 'Withdraw one, or wait for a decision.' });
  }
  if ((await tx.grants.countLive(actor.id)) >= app.limits.liveGrantsPerPrincipal) {
    throw new Refusal('quota_exceeded', `you hold ${app.limits.liveGrantsPerPrincipal} live grants already`, { hint: 'Finish one that you no longer need.' });
  }
}
