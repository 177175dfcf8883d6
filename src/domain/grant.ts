import type { Seconds } from './duration.ts';
import type { Entitlement, GrantKind } from './entitlement.ts';
import type { EntitlementId, GrantId, PartId, PrincipalId, RequestId, SessionId, TargetId } from './id.ts';
import type { JsonObject } from './json.ts';
import type { EndReason, GrantState, PartState, SessionEndReason, SessionState } from './lifecycle.ts';

/** The lease. States WHEN. */
export interface Grant {
  readonly id: GrantId;
  readonly request: RequestId;
  readonly principal: PrincipalId;
  readonly onBehalfOf: PrincipalId | null;
  readonly entitlementId: EntitlementId;
  readonly entitlement: Entitlement;
  readonly state: GrantState;
  readonly durationSeconds: Seconds;
  readonly createdAt: Date;
  readonly startAt: Date;
  /** When an activation that has not succeeded is given up. */
  readonly activateBy: Date;
  readonly activatedAt: Date | null;
  readonly deadline: Date | null;
  readonly revokeDueAt: Date | null;
  readonly endReason: EndReason | null;
  readonly endedAt: Date | null;
  /** When a due removal was found not verified; never cleared, so that the record shows it. */
  readonly overdueAt: Date | null;
}

/** One target's share of a grant. */
export interface GrantPart {
  readonly id: PartId;
  readonly grant: GrantId;
  readonly ordinal: number;
  readonly target: TargetId;
  readonly kind: GrantKind;
  readonly scope: JsonObject;
  readonly objectName: string;
  readonly account: string | null;
  readonly state: PartState;
  readonly deadline: Date | null;
  readonly prior: JsonObject | null;
  readonly evidence: JsonObject | null;
  readonly work: 'provision' | 'withdraw' | null;
  readonly dueAt: Date | null;
  readonly fence: number;
  readonly attempts: number;
  readonly lastError: string | null;
}

export interface Session {
  readonly id: SessionId;
  readonly grant: GrantId;
  readonly part: PartId;
  readonly principal: PrincipalId;
  readonly protocol: string;
  readonly broker: string;
  readonly state: SessionState;
  readonly openedAt: Date;
  readonly leaseUntil: Date;
  readonly clientAddress: string;
  readonly application: string | null;
  readonly facts: JsonObject;
  readonly cutReason: SessionEndReason | null;
  readonly endedAt: Date | null;
  readonly endReason: SessionEndReason | null;
  readonly statements: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly recordingRoot: string | null;
}

/**
 * The name of what Brevet makes on a target: `brevet_` and the grant id's 26 characters, and for a further part its
 * ordinal. 36 characters at most: below PostgreSQL's 63; Linux' 32 and MySQL's 32 take their own form.
 */
export function objectName(grant: GrantId, ordinal: number): string {
  const body = grant.slice('grt_'.length);
  return ordinal === 0 ? `brevet_${body}` : `brevet_${body}_${ordinal}`;
}

/** How long an activation is tried before it is given up and undone. */
export const ACTIVATION_WINDOW: Seconds = 600;

/** A removal not verified this long after it fell due is overdue: loud, and never given up. */
export const OVERDUE_AFTER: Seconds = 5;
