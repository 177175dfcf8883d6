import type { Answer } from '#contract/routes.ts';
import type { Entitlement } from '#domain/entitlement.ts';
import type { PrincipalId } from '#domain/id.ts';
import type { AccessRequest } from '#domain/request.ts';
import { agreedScope, analyzeReview, progressOf, type Review } from '#domain/review.ts';
import type { Verdict } from '#app/ports/policy.ts';
import { isDisabled } from '#app/actor.ts';
import { isOwn } from '#app/visibility.ts';
import { Directory, entitlementRef, iso } from './directory.ts';

type Wire = Answer<'request'>;
type Stage = Wire['stages'][number];

export interface Wording {
  /** A verdict in plain lines. */
  explain(verdict: Verdict): readonly string[];
  /** Free text with what can mislead written out, or null when nothing in it can (A08, D05). */
  escape(text: string): string | null;
}

/** A request as the API shows it, with what this viewer may do about it and why not. */
export async function presentRequest(directory: Directory, wording: Wording, request: AccessRequest): Promise<Wire> {
  const { tx } = directory;
  const reviews = (await directory.reviews(request.id)) ?? [];
  const grant = request.extendsGrant === null ? await directory.grantOf(request.id) : null;
  const requester = await directory.known(request.principal);
  const analysis = requester && analyzeReview(request, reviews, { reviewer: directory.viewer.principal, memberships: directory.viewer.memberships, requester: requester.principal }, tx.now);
  const decide = { allowed: analysis?.allowed ?? false, reason: analysis?.unsatisfied[0]?.message ?? null };
  const mine = isOwn(directory.viewer.principal.id, request, requester?.principal.owner ?? null);
  const verdict = request.verdict as unknown as Verdict;
  return {
    id: request.id,
    state: request.state,
    principal: await directory.principal(request.principal),
    onBehalfOf: request.onBehalfOf === null ? null : await directory.principal(request.onBehalfOf),
    entitlement: entitlementRef(request.entitlement),
    targets: await Promise.all(request.entitlement.parts.map((part) => directory.targetRef(part.target))),
    reach: (await Promise.all(request.entitlement.parts.map((part, ordinal) => directory.reach(part.target, part.kind, agreedScope(ordinal, part.scope, reviews))))).flat(),
    extendsGrant: request.extendsGrant,
    reason: request.reason,
    reasonEscaped: wording.escape(request.reason) ?? (request.ticket === null ? null : wording.escape(request.ticket)),
    ticket: request.ticket,
    durationSeconds: request.durationSeconds,
    startAt: iso(request.startAt),
    createdAt: request.createdAt.toISOString(),
    expiresAt: request.expiresAt.toISOString(),
    decidedAt: iso(request.decidedAt),
    decisionReason: request.decisionReason,
    erasedAt: iso(request.erasedAt),
    hash: request.hash,
    policyVersion: request.policyVersion,
    verdict: wireVerdict(verdict),
    explanation: [...wording.explain(verdict)],
    stages: await presentStages(directory, request.entitlement, reviews, [request.principal, request.onBehalfOf, requester?.principal.owner ?? null], request.createdAt),
    reviews: await Promise.all(reviews.map((review) => presentReview(directory, review))),
    grant: grant?.id ?? null,
    actions: {
      approve: decide,
      deny: decide,
      cancel: {
        allowed: mine && request.state === 'pending',
        reason: !mine ? 'only the requester withdraws a request' : request.state === 'pending' ? null : `the request is already ${request.state}`,
      },
    },
  };
}

/** Stages with who could decide now; those who asked are never named. */
export async function presentStages(directory: Directory, entitlement: Entitlement, reviews: readonly Review[], asking: readonly (PrincipalId | null)[], sentAt: Date): Promise<Stage[]> {
  const progress = progressOf(entitlement.stages, reviews);
  return await Promise.all(
    entitlement.stages.map(async (stage, index) => {
      const members = (await Promise.all(stage.groups.map((group) => directory.members(group)))).flat();
      const eligible = [...new Set(members.filter((member) => member.since <= sentAt && !asking.includes(member.principal)).map((member) => member.principal))];
      const people = await Promise.all(eligible.map((id) => directory.known(id)));
      return {
        name: stage.name,
        groups: await Promise.all(stage.groups.map((group) => directory.groupName(group))),
        required: stage.required,
        approved: progress.stages[index]?.approved ?? 0,
        reviewers: people.flatMap((known) => (known && known.principal.kind === 'person' && !isDisabled(known) ? [known.principal.name] : [])),
      };
    }),
  );
}

async function presentReview(directory: Directory, review: Review): Promise<Wire['reviews'][number]> {
  return {
    reviewer: await directory.principal(review.reviewer),
    stage: review.stage,
    decision: review.decision,
    reason: review.reason,
    durationSeconds: review.narrowed?.durationSeconds ?? null,
    narrowedScopes: review.narrowed?.scopes ?? null,
    at: review.createdAt.toISOString(),
  } as Wire['reviews'][number];
}

/** Only what the contract names: a stored verdict of an older build may hold more. */
export function wireVerdict(verdict: Verdict): Wire['verdict'] {
  const match = ({ id, effect, reason }: Verdict['satisfied'][number]) => ({ id, effect, reason });
  return {
    allowed: verdict.allowed,
    policyVersion: verdict.policyVersion,
    satisfied: verdict.satisfied.map(match),
    forbidden: verdict.forbidden.map(match),
    nearest: verdict.nearest.map(({ id, reason, unsatisfied }) => ({ id, reason, unsatisfied: [...unsatisfied] })),
    failed: verdict.failed.map(({ id, message }) => ({ id, message })),
  };
}
