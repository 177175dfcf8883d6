import { canonicalJson } from '#domain/canonical-json.ts';
import { parseDuration, formatDuration, type Seconds } from '#domain/duration.ts';
import type { Entitlement } from '#domain/entitlement.ts';
import type { Grant } from '#domain/grant.ts';
import type { PrincipalId } from '#domain/id.ts';
import type { Json } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { actorContext, isDisabled, knowActor, knowPrincipal, policyPrincipal, type Actor, type Known } from './actor.ts';
import type { App } from './app.ts';
import { currentPolicies, policyResource } from './ask-policy.ts';
import type { PolicyResource, PolicySet, Verdict } from './ports/policy.ts';
import type { Tx } from './ports/store.ts';

/** What somebody asks for, as it came in. */
export interface RequestInput {
  readonly entitlement: string;
  readonly reason: string;
  readonly ticket: string | null;
  /** Seconds or `45m`; `null` for the entitlement's default. */
  readonly duration: number | string | null;
  readonly startAt: Date | null;
  readonly onBehalfOf: string | null;
  /** The grant whose deadline it asks to move. */
  readonly extends: Grant | null;
}

/** A request as it would be sent, with both verdicts: the preview shows it, the submission acts on it. */
export interface Judgement {
  readonly known: Known;
  readonly onBehalfOf: PrincipalId | null;
  readonly entitlement: Entitlement;
  readonly durationSeconds: Seconds;
  readonly policies: PolicySet;
  readonly request: Verdict;
  readonly autoApprove: Verdict;
  readonly outcome: 'approved_by_policy' | 'needs_review' | 'refused';
}

/** What a judgement reads, when it was read for many at once. */
export interface Read {
  readonly known: Known;
  readonly entitlement: Entitlement;
  readonly policies: PolicySet & { readonly publishedBy: PrincipalId | null };
  readonly resource: PolicyResource;
}

/**
 * Judges a request without sending it. @throws Refusal `not_found`, `duration_too_long`, `invalid_duration`,
 * `invalid_input` for what no policy could allow.
 */
export async function judgeRequest(app: App, tx: Tx, actor: Actor, input: RequestInput, read?: Read): Promise<Judgement> {
  const known = read?.known ?? (await knowActor(tx, actor.id));
  const entitlement = read?.entitlement ?? (await tx.catalogue.entitlementByName(input.entitlement));
  if (!entitlement || entitlement.retiredAt !== null) {
    throw new Refusal('not_found', `there is no entitlement "${input.entitlement}"`, { hint: 'brevet entitlements lists what may be requested.' });
  }
  if (input.extends !== null) checkContinues(input.extends, entitlement);
  const durationSeconds = input.duration === null ? entitlement.defaultDuration : parseDuration(input.duration);
  if (durationSeconds > entitlement.maxDuration) {
    throw new Refusal('duration_too_long', `${entitlement.name} can be had for at most ${formatDuration(entitlement.maxDuration)}`, {
      field: '/duration',
      facts: { maxDurationSeconds: entitlement.maxDuration },
    });
  }
  checkStart(app, tx.now, input.startAt);
  const behalf = await knowBehalf(tx, known, input.onBehalfOf);

  const policies = read?.policies ?? (await currentPolicies(tx));
  const context = {
    ...actorContext(actor, tx.now),
    durationSeconds,
    reason: input.reason,
    ...(input.startAt === null ? {} : { startAt: input.startAt.toISOString() }),
    ...(input.ticket === null ? {} : { ticket: input.ticket }),
    ...(behalf === null ? {} : { onBehalfOf: behalf.principal.name }),
  };
  const resource = read?.resource ?? (await policyResource(tx, entitlement));
  const ask = (action: 'request' | 'extend' | 'autoApprove', who: Known) =>
    app.policy.decide(policies, { action, principal: policyPrincipal(who), resource, context });

  // Acting for somebody is held to the smaller of both rights: each must be allowed.
  const first = input.extends === null ? 'request' : 'extend';
  const request = smaller(ask(first, known), behalf && ask(first, behalf));
  // Separation of duties (A10): who published these policies is not approved by them alone.
  const author = policies.publishedBy !== null && [actor.id, known.principal.owner].includes(policies.publishedBy);
  const judged = smaller(ask('autoApprove', known), behalf && ask('autoApprove', behalf));
  const autoApprove = author && judged.allowed ? { ...judged, allowed: false, failed: [AUTHOR] } : judged;
  const outcome = !request.allowed ? 'refused' : autoApprove.allowed ? 'approved_by_policy' : entitlement.stages.length > 0 ? 'needs_review' : 'refused';
  return { known, onBehalfOf: behalf?.principal.id ?? null, entitlement, durationSeconds, policies, request, autoApprove, outcome };
}

const AUTHOR = { id: 'separation-of-duties', message: 'you published these policies: they do not approve you without a reviewer' };

function smaller(own: Verdict, others: Verdict | null): Verdict {
  return others === null || !own.allowed ? own : others;
}

/** What goes on under an extension is what the grant was born with: reviewers must not be shown another, narrower reach (A04). */
function checkContinues({ entitlement: held }: Grant, now: Entitlement): void {
  if (canonicalJson(held.parts as unknown as Json) === canonicalJson(now.parts as unknown as Json)) return;
  throw new Refusal('wrong_state', `${now.name} allows something else now than when this grant was given: it can't be extended`, { hint: 'Ask for it anew: brevet request' });
}

function checkStart(app: App, now: Date, startAt: Date | null): void {
  if (startAt === null) return;
  const ahead = (startAt.getTime() - now.getTime()) / 1000;
  if (Number.isNaN(ahead) || ahead < -60) throw new Refusal('invalid_input', 'the start lies in the past', { field: '/startAt' });
  if (ahead > app.limits.startWithinSeconds) {
    throw new Refusal('invalid_input', `the start lies further ahead than ${formatDuration(app.limits.startWithinSeconds)}`, { field: '/startAt' });
  }
}

async function knowBehalf(tx: Tx, known: Known, name: string | null): Promise<Known | null> {
  if (name === null) return null;
  const person = await tx.principals.byName(name);
  const behalf = person && (await knowPrincipal(tx, person.id));
  // Only a workload acts for somebody, and in this version only for its owner: nobody else has agreed to it.
  if (!behalf || known.principal.kind !== 'workload' || behalf.principal.id !== known.principal.owner || isDisabled(behalf)) {
    throw new Refusal('forbidden', 'only a workload may act for a person, and only for the person who owns it', { field: '/onBehalfOf' });
  }
  return behalf;
}
