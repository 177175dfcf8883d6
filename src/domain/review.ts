import type { ApprovalStage } from './entitlement.ts';
import type { PersonId, PrincipalId, RequestId, ReviewId } from './id.ts';
import type { JsonObject } from './json.ts';
import type { Membership, Principal } from './principal.ts';
import type { RefusalCode } from './refusal.ts';
import type { AccessRequest } from './request.ts';

/** How the key that signed was enrolled, or the certificate that a client showed. Policies compare with these words. */
export const SIGN_IN_METHODS = ['link', 'password', 'administrator', 'certificate'] as const;

/** How somebody proved who they are, and when: kept with each review. */
export interface Authentication {
  readonly method: (typeof SIGN_IN_METHODS)[number];
  readonly at: Date;
  readonly phishingResistant: boolean;
  /** The id of the key or session that carried the proof. */
  readonly by: string;
}

/** A reviewer's cut: a shorter time, or a narrower scope for the part with this ordinal. */
export interface Narrowing {
  readonly durationSeconds?: number;
  readonly scopes?: Readonly<Record<string, JsonObject>>;
}

export interface Review {
  readonly id: ReviewId;
  readonly request: RequestId;
  readonly requestHash: string;
  readonly stage: number;
  readonly reviewer: PersonId;
  readonly decision: 'approve' | 'deny';
  readonly reason: string | null;
  readonly narrowed: Narrowing | null;
  readonly authentication: Authentication;
  readonly createdAt: Date;
}

export interface Progress {
  /** Index of the stage that waits; equals the number of stages when all are passed. */
  readonly stage: number;
  readonly done: boolean;
  /** For each stage, how many have approved of how many. */
  readonly stages: readonly { readonly name: string; readonly approved: number; readonly required: number }[];
}

/** Where a request stands, from its reviews alone. A review counts for the stage in which it was given. */
export function progressOf(stages: readonly ApprovalStage[], reviews: readonly Review[]): Progress {
  const counted = stages.map((stage, index) => ({
    name: stage.name,
    required: stage.required,
    approved: new Set(reviews.filter((r) => r.stage === index && r.decision === 'approve').map((r) => r.reviewer)).size,
  }));
  const waiting = counted.findIndex((stage) => stage.approved < stage.required);
  return { stage: waiting === -1 ? stages.length : waiting, done: waiting === -1, stages: counted };
}

export interface ReviewAnalysis {
  readonly allowed: boolean;
  readonly stage: number;
  readonly satisfied: readonly string[];
  readonly unsatisfied: readonly { readonly code: RefusalCode; readonly message: string }[];
}

export interface ReviewerFacts {
  readonly reviewer: Principal;
  readonly memberships: readonly Membership[];
  /** Who asked, and for a workload the person who owns it. */
  readonly requester: Principal;
}

/**
 * Whether this person may decide on this request now, and why. The inbox, the preview and the enforcement ask here.
 * Policy is asked besides: it can only narrow.
 */
export function analyzeReview(request: AccessRequest, reviews: readonly Review[], facts: ReviewerFacts, now: Date): ReviewAnalysis {
  const { reviewer, memberships, requester } = facts;
  const satisfied: string[] = [];
  const unsatisfied: { code: RefusalCode; message: string }[] = [];
  const check = (holds: boolean, code: RefusalCode, yes: string, no: string) =>
    holds ? satisfied.push(yes) : unsatisfied.push({ code, message: no });

  const progress = progressOf(request.entitlement.stages, reviews);
  const stage = request.entitlement.stages[progress.stage];
  const themselves: readonly (PrincipalId | null)[] = [requester.id, requester.owner, request.onBehalfOf];

  check(request.state === 'pending', 'wrong_state', 'the request is pending', `the request is already ${request.state}`);
  check(request.expiresAt > now, 'wrong_state', 'the request has not expired', 'the request has expired');
  check(reviewer.kind === 'person', 'not_a_reviewer', 'the reviewer is a person', 'only people decide on requests');
  check(reviewer.disabledAt === null, 'forbidden', 'the reviewer is enabled', 'the reviewer is disabled');
  check(!themselves.includes(reviewer.id), 'own_request', 'the reviewer did not ask', 'nobody decides on their own request');
  check(!reviews.some((r) => r.reviewer === reviewer.id), 'already_reviewed', 'the reviewer has not decided yet', 'you have already decided on this request');
  // A02: whoever joined the group after the request was sent decides on the next one.
  const eligible = stage !== undefined && memberships.some((m) => stage.groups.includes(m.group) && m.since <= request.createdAt);
  check(eligible, 'not_a_reviewer', `the reviewer belongs to stage "${stage?.name ?? ''}"`,
    stage ? `stage "${stage.name}" is not yours to decide: its groups do not list you since before the request` : 'no stage is waiting');
  return { allowed: unsatisfied.length === 0, stage: progress.stage, satisfied, unsatisfied };
}

/** The shortest of the asked duration and every reviewer's cut. */
export function agreedDuration(request: AccessRequest, reviews: readonly Review[]): number {
  return Math.min(request.durationSeconds, ...reviews.flatMap((r) => r.narrowed?.durationSeconds ?? []));
}

/** A part's scope after every reviewer's cut, in the order given; each was checked to lie within the one before. */
export function agreedScope(ordinal: number, asked: JsonObject, reviews: readonly Review[]): JsonObject {
  return reviews.reduce((scope, review) => review.narrowed?.scopes?.[String(ordinal)] ?? scope, asked);
}
