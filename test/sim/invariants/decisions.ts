import type { Grant } from '#domain/grant.ts';
import type { JsonObject } from '#domain/json.ts';
import { requestHash, type AccessRequest } from '#domain/request.ts';
import { permits, rulesOf, type Rules } from '../policy.ts';
import type { PartRow } from '../store/memory.ts';
import type { Commit, World } from '../world.ts';

/**
 * Invariant 2: no request is approved without the policy's word or the reviews that its stages demand, each by another
 * enabled person who belonged to the stage and saw exactly this request; and no grant is more than was agreed.
 */
export function decisionsHold(world: World, commit: Commit): string | null {
  const { tables } = world.memory;
  for (const { table, before, after } of commit.changes) {
    if (table === 'requests' && (after as AccessRequest).state === 'approved' && (before as AccessRequest | null)?.state !== 'approved') {
      const broken = approvalOf(world, commit, after as AccessRequest);
      if (broken !== null) return `${(after as AccessRequest).id} is approved: ${broken}`;
    }
    if (table === 'grants' && before === null) {
      const grant = after as Grant;
      const request = tables.requests.rows.get(grant.request);
      if (request?.state !== 'approved') return `${grant.id} is of a request that is ${request?.state ?? 'unknown'}`;
      if (request.principal !== grant.principal || grant.durationSeconds > agreedSeconds(world, request)) return `${grant.id} is more than was agreed`;
    }
    if (table === 'grant_parts' && before === null) {
      const broken = partWithin(world, (after as PartRow).part);
      if (broken !== null) return broken;
    }
  }
  return null;
}

function partWithin({ memory: { tables } }: World, part: PartRow['part']): string | null {
  const grant = tables.grants.rows.get(part.grant);
  const reviews = [...tables.reviews.rows.values()].filter(({ request }) => request === grant?.request);
  const asked = grant?.entitlement.parts[part.ordinal];
  const narrowed = reviews.flatMap(({ narrowed: cut }) => cut?.scopes?.[String(part.ordinal)] ?? []);
  for (const scope of [asked?.scope, ...narrowed] as (JsonObject | undefined)[]) {
    const wide = (scope?.['roles'] ?? []) as readonly string[];
    if (!(part.scope['roles'] as string[]).every((role) => wide.includes(role))) return `${part.id} reaches further than was agreed`;
  }
  return null;
}

function agreedSeconds({ memory: { tables } }: World, request: AccessRequest): number {
  const cuts = [...tables.reviews.rows.values()].filter((review) => review.request === request.id).flatMap(({ narrowed }) => narrowed?.durationSeconds ?? []);
  return Math.min(request.durationSeconds, request.entitlement.maxDuration, ...cuts);
}

function approvalOf(world: World, commit: Commit, request: AccessRequest): string | null {
  const { tables } = world.memory;
  if (requestHash(request) !== request.hash) return 'its hash is not that of its terms';
  const asker = tables.principals.rows.get(request.principal)?.principal;
  const owner = asker?.owner ? tables.principals.rows.get(asker.owner)?.principal : undefined;
  if (!asker || asker.disabledAt !== null || (owner && owner.disabledAt !== null)) return 'who asked is disabled';
  const themselves = [asker.id, asker.owner, request.onBehalfOf];
  const reviews = [...tables.reviews.rows.values()].filter((review) => review.request === request.id);
  if (reviews.length === 0) {
    return permitted(world, commit, (rules) => permits(rules, 'autoApprove', asker.name, request.entitlement.name)) ? null : 'by nobody, and policy does not approve it';
  }
  for (const review of reviews) {
    const reviewer = tables.principals.rows.get(review.reviewer)?.principal;
    if (themselves.includes(review.reviewer)) return `${reviewer?.name} reviewed their own request`;
    if (review.requestHash !== request.hash) return `${reviewer?.name} saw another request`;
    if (review.decision !== 'approve') return `${reviewer?.name} denied it`;
    if (review.createdAt >= request.expiresAt) return `${reviewer?.name} came too late`;
    const groups = request.entitlement.stages[review.stage]?.groups ?? [];
    if (!groups.some((group) => { const member = tables.members.rows.get(`${group} ${review.reviewer}`); return member !== undefined && member.since <= request.createdAt; })) return `${reviewer?.name} is not of stage ${review.stage}`;
    const key = tables.keys.rows.get(review.authentication.by);
    if (!key || key.principal !== review.reviewer || (key.issuedBy !== null && themselves.includes(key.issuedBy))) return `${reviewer?.name}'s sign-in was arranged by who asked`;
  }
  for (const [stage, { required }] of request.entitlement.stages.entries()) {
    const given = new Set(reviews.filter((review) => review.stage === stage).map(({ reviewer }) => reviewer)).size;
    if (given < required) return `stage ${stage} has ${given} of ${required}`;
  }
  return null;
}

/** Whether a policy version allowed it that was in force at some instant of the transaction. */
function permitted(world: World, { began }: Commit, test: (rules: Rules) => boolean): boolean {
  const { policies, memory: { tables } } = world;
  return policies.some(({ version }, at) => {
    const until = policies[at + 1]?.at ?? Infinity;
    const row = tables.policies.rows.get(String(version));
    return until >= began && row !== undefined && test(rulesOf(row));
  });
}

/** B13: whoever is disabled, or whose owner is, holds nothing from that moment on. */
export function nobodyDisabledHolds({ memory: { tables } }: World): string | null {
  for (const id of tables.grants.live) {
    const grant = tables.grants.rows.get(id);
    if (grant?.state !== 'active' && grant?.state !== 'activating') continue;
    const holder = tables.principals.rows.get(grant.principal)?.principal;
    const owner = holder?.owner ? tables.principals.rows.get(holder.owner)?.principal : undefined;
    for (const one of [holder, owner]) if (one && one.disabledAt !== null) return `${one.name} is disabled, and ${id} is ${grant.state}`;
  }
  return null;
}

/** I7: at the start everything is asked again. */
export function activationIsPermitted(world: World, commit: Commit): string | null {
  const { tables } = world.memory;
  for (const { table, before, after } of commit.changes) {
    if (table !== 'grants' || (after as Grant).state !== 'activating' || (before as Grant | null)?.state === 'activating') continue;
    const grant = after as Grant;
    const holder = tables.principals.rows.get(grant.principal)?.principal;
    if (!holder || holder.disabledAt !== null) return `${grant.id} starts, and its holder is disabled`;
    if (!permitted(world, commit, (rules) => permits(rules, 'activate', holder.name, grant.entitlement.name))) return `${grant.id} starts, and policy does not permit it`;
  }
  return null;
}
