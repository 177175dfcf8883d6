import type { PrincipalId } from '../id.ts';
import type { LogEvent } from '../log-event.ts';
import type { AccessRequest } from '../request.ts';
import type { Review } from '../review.ts';

/** What the log says of requests and reviews: one function for each event, and nothing else makes one. */
const about = (request: AccessRequest) => ({
  request: request.id,
  principal: request.principal,
  onBehalfOf: request.onBehalfOf,
  hash: request.hash,
});

export function requestSubmitted(request: AccessRequest, actor: PrincipalId): LogEvent {
  return {
    type: 'request.submitted',
    actor,
    data: {
      ...about(request),
      entitlement: request.entitlementId,
      entitlementName: request.entitlement.name,
      revision: request.entitlement.revision,
      extendsGrant: request.extendsGrant,
      durationSeconds: request.durationSeconds,
      startAt: request.startAt?.toISOString() ?? null,
      expiresAt: request.expiresAt.toISOString(),
      policyVersion: request.policyVersion,
      verdict: request.verdict,
    },
    personal: { subject: request.principal, data: { reason: request.reason, ticket: request.ticket } },
  };
}

export function reviewGiven(request: AccessRequest, review: Review): LogEvent {
  return {
    type: 'review.given',
    actor: review.reviewer,
    data: {
      ...about(request),
      review: review.id,
      reviewer: review.reviewer,
      stage: review.stage,
      decision: review.decision,
      durationSeconds: review.narrowed?.durationSeconds ?? null,
      scopes: review.narrowed?.scopes ?? null,
      authentication: { method: review.authentication.method, by: review.authentication.by, at: review.authentication.at.toISOString() },
    },
    ...(review.reason === null ? {} : { personal: { subject: review.reviewer, data: { reason: review.reason } } }),
  };
}

export function requestApproved(request: AccessRequest, actor: PrincipalId | 'system', by: 'policy' | 'reviewers'): LogEvent {
  return { type: 'request.approved', actor, data: { ...about(request), by } };
}

export function requestDenied(request: AccessRequest, actor: PrincipalId): LogEvent {
  return { type: 'request.denied', actor, data: about(request) };
}

export function requestCancelled(request: AccessRequest, actor: PrincipalId): LogEvent {
  return { type: 'request.cancelled', actor, data: about(request) };
}

export function requestExpired(request: AccessRequest): LogEvent {
  return { type: 'request.expired', actor: 'system', data: about(request) };
}

/** A01: somebody tried to decide on their own request. Nothing changed; the attempt is told. */
export function approvalDeniedSelf(request: AccessRequest, actor: PrincipalId): LogEvent {
  return { type: 'approval.denied_self', actor, data: about(request) };
}
