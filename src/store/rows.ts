/**
 * Columns as the domain names them, and what JSON can't carry put back. A row selected with one of these lists is a
 * domain value, but for dates inside jsonb. `bigint` is read as `float8`: exact to 2^53, and fences stay far below.
 */
import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { Grant, GrantPart, Session } from '#domain/grant.ts';
import type { Principal } from '#domain/principal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';

export const PRINCIPAL = `id, kind, name, display_name as "displayName", owner_id as owner, disabled_at as "disabledAt", administrator`;
export type PrincipalRow = Principal;

export const TARGET = `id, name, type, folder_id as folder, config, retired_at as "retiredAt"`;
export type TargetRow = Target;

export const ENTITLEMENT = `id, name, title, folder_id as folder, revision, terms, retired_at as "retiredAt"`;
type Terms = Pick<Entitlement, 'parts' | 'stages' | 'defaultDuration' | 'maxDuration' | 'endMode' | 'warnSeconds' | 'graceSeconds' | 'maskLiterals'>;
export type EntitlementRow = Omit<Entitlement, keyof Terms> & { readonly terms: Terms };

export function entitlementOf({ terms, ...row }: EntitlementRow): Entitlement {
  return { ...row, ...terms };
}

/** The terms of an entitlement, for the column of that name. */
export function termsJson(entitlement: Entitlement): string {
  const { parts, stages, defaultDuration, maxDuration, endMode, warnSeconds, graceSeconds, maskLiterals } = entitlement;
  const terms: Terms = { parts, stages, defaultDuration, maxDuration, endMode, warnSeconds, graceSeconds, maskLiterals };
  return JSON.stringify(terms);
}

/** An entitlement as it stood, in jsonb: its instants are ISO text. */
type Snapshot = Omit<Entitlement, 'retiredAt'> & { readonly retiredAt: string | null };
const revived = (snapshot: Snapshot): Entitlement => ({ ...snapshot, retiredAt: instant(snapshot.retiredAt) });
const instant = (text: string | null): Date | null => (text === null ? null : new Date(text));

export const REQUEST = `id, state, principal_id as principal, on_behalf_of_id as "onBehalfOf", entitlement_id as "entitlementId", entitlement,
  extends_grant_id as "extendsGrant", reason, ticket, duration_seconds as "durationSeconds", start_at as "startAt",
  created_at as "createdAt", expires_at as "expiresAt", policy_version as "policyVersion", verdict, hash,
  decided_at as "decidedAt", decision_reason as "decisionReason", erased_at as "erasedAt"`;
export type RequestRow = Omit<AccessRequest, 'entitlement'> & { readonly entitlement: Snapshot };
export const requestOf = (row: RequestRow): AccessRequest => ({ ...row, entitlement: revived(row.entitlement) });

export const REVIEW = `id, request_id as request, request_hash as "requestHash", stage, reviewer_id as reviewer, decision, reason, narrowed,
  authentication, created_at as "createdAt"`;
export type ReviewRow = Omit<Review, 'authentication'> & {
  readonly authentication: Omit<Review['authentication'], 'at'> & { readonly at: string };
};
export const reviewOf = (row: ReviewRow): Review => ({
  ...row,
  authentication: { ...row.authentication, at: new Date(row.authentication.at) },
});

export const GRANT = `id, request_id as request, principal_id as principal, on_behalf_of_id as "onBehalfOf", entitlement_id as "entitlementId",
  entitlement, state, duration_seconds as "durationSeconds", created_at as "createdAt", start_at as "startAt",
  activate_by as "activateBy", activated_at as "activatedAt", deadline, revoke_due_at as "revokeDueAt",
  end_reason as "endReason", ended_at as "endedAt", overdue_at as "overdueAt"`;
export type GrantRow = Omit<Grant, 'entitlement'> & { readonly entitlement: Snapshot };
export const grantOf = (row: GrantRow): Grant => ({ ...row, entitlement: revived(row.entitlement) });

export const PART = `id, grant_id as grant, ordinal, target_id as target, kind, scope, object_name as "objectName", account, state, deadline,
  prior, evidence, work, due_at as "dueAt", fence::float8 as fence, attempts, last_error as "lastError"`;
export type PartRow = GrantPart;

export const SESSION = `id, grant_id as grant, part_id as part, principal_id as principal, protocol, broker_id as broker, state,
  opened_at as "openedAt", lease_until as "leaseUntil", client_address as "clientAddress", application, facts,
  cut_reason as "cutReason", ended_at as "endedAt", end_reason as "endReason", statements::float8 as statements,
  bytes_in::float8 as "bytesIn", bytes_out::float8 as "bytesOut", recording_root as "recordingRoot"`;
export type SessionRow = Session;
