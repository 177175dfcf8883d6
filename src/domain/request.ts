import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import type { Seconds } from './duration.ts';
import type { Entitlement } from './entitlement.ts';
import type { EntitlementId, GrantId, PrincipalId, RequestId } from './id.ts';
import type { Json, JsonObject } from './json.ts';
import type { RequestState } from './lifecycle.ts';

/**
 * One ask. Everything but `state` and what the decision adds is fixed when it is sent; `hash` covers all of that, and
 * is what reviewers approve.
 */
export interface AccessRequest {
  readonly id: RequestId;
  readonly state: RequestState;
  readonly principal: PrincipalId;
  readonly onBehalfOf: PrincipalId | null;
  readonly entitlementId: EntitlementId;
  /** The entitlement as it stood when asked. */
  readonly entitlement: Entitlement;
  /** For an extension: the grant whose deadline it would move. */
  readonly extendsGrant: GrantId | null;
  readonly reason: string;
  readonly ticket: string | null;
  readonly durationSeconds: Seconds;
  /** `null` for as soon as it is approved. */
  readonly startAt: Date | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly policyVersion: number;
  readonly verdict: JsonObject;
  /** SHA-256, hex. */
  readonly hash: string;
  readonly decidedAt: Date | null;
  readonly decisionReason: string | null;
  /** When reason and ticket were taken out with the person: from then on `hash` is of what was asked, not of what stands here. */
  readonly erasedAt: Date | null;
}

export type RequestTerms = Omit<AccessRequest, 'state' | 'verdict' | 'hash' | 'decidedAt' | 'decisionReason' | 'erasedAt'>;

/** The SHA-256 (hex) of a request's canonical JSON (RFC 8785). What it leaves out, a reviewer does not approve. */
export function requestHash(terms: RequestTerms): string {
  const asked: Json = {
    v: 1,
    id: terms.id,
    principal: terms.principal,
    onBehalfOf: terms.onBehalfOf,
    entitlement: terms.entitlementId,
    revision: terms.entitlement.revision,
    parts: terms.entitlement.parts.map((part) => ({ target: part.target, kind: part.kind, account: part.account, scope: part.scope })),
    stages: terms.entitlement.stages.map((stage) => ({ groups: [...stage.groups], required: stage.required })),
    endMode: terms.entitlement.endMode,
    extendsGrant: terms.extendsGrant,
    reason: terms.reason,
    ticket: terms.ticket,
    durationSeconds: terms.durationSeconds,
    startAt: terms.startAt?.toISOString() ?? null,
    createdAt: terms.createdAt.toISOString(),
    expiresAt: terms.expiresAt.toISOString(),
    policyVersion: terms.policyVersion,
  };
  return createHash('sha256').update(canonicalJson(asked)).digest('hex');
}
