import type { Grant, Session } from '#domain/grant.ts';
import { Refusal } from '#domain/refusal.ts';
import type { GrantId, PersonId, PrincipalId, RequestId } from '#domain/id.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Known } from './actor.ts';
import type { Concerning, Tx } from './ports/store.ts';

/** Whether somebody belongs to one of its stages: they approved it, or could have. */
export function isReviewerOf({ memberships }: Known, { entitlement }: Pick<AccessRequest | Grant, 'entitlement'>): boolean {
  const mine = new Set(memberships.map((membership) => membership.group));
  return entitlement.stages.some((stage) => stage.groups.some((group) => mine.has(group)));
}

/** Its reviewers and administrators take a grant away. */
export function mayRevoke(known: Known, grant: Pick<Grant, 'entitlement'>): boolean {
  return known.principal.administrator || isReviewerOf(known, grant);
}

/** Whoever may revoke the grant ends a session under it, and so does its holder. */
export function mayEndSession(known: Known, session: Pick<Session, 'principal'>, grant: Pick<Grant, 'entitlement'>): boolean {
  return known.principal.id === session.principal || mayRevoke(known, grant);
}

/**
 * Who may know of a request or grant: who asked, for whom, the owner of the workload that asked, whoever belongs to one
 * of its stages, and administrators. To everybody else it does not exist (A09).
 */
export async function maySee(tx: Tx, known: Known, of: Pick<AccessRequest | Grant, 'principal' | 'onBehalfOf' | 'entitlement'>): Promise<boolean> {
  const { principal } = known;
  if (principal.administrator || principal.id === of.principal || principal.id === of.onBehalfOf) return true;
  if (isReviewerOf(known, of)) return true;
  const holder = await tx.principals.byId(of.principal);
  return holder?.owner === principal.id;
}

/** What is a viewer's own: what they or their workloads asked for, and what was asked for on their behalf. */
export async function concerning(tx: Tx, { principal }: Known): Promise<Concerning> {
  const owned = principal.kind === 'person' ? await tx.principals.ownedBy(principal.id as PersonId) : [];
  return { principals: [principal.id, ...owned.map((one) => one.id)], behalf: principal.id };
}

/** Whether something of a principal is this viewer's own, by the same rule. */
export function isOwn(viewer: PrincipalId, of: { readonly principal: PrincipalId; readonly onBehalfOf: PrincipalId | null }, owner: PrincipalId | null): boolean {
  return [of.principal, of.onBehalfOf, owner].includes(viewer);
}

/** @throws Refusal `not_found`, alike for what does not exist and what is not theirs to see */
export async function seeRequest(tx: Tx, known: Known, id: RequestId): Promise<AccessRequest> {
  const request = await tx.requests.byId(id);
  if (request && (await maySee(tx, known, request))) return request;
  throw new Refusal('not_found', 'there is no such request');
}

/** @throws Refusal `not_found`, alike for what does not exist and what is not theirs to see */
export async function seeGrant(tx: Tx, known: Known, id: GrantId): Promise<Grant> {
  const grant = await tx.grants.byId(id);
  if (grant && (await maySee(tx, known, grant))) return grant;
  throw new Refusal('not_found', 'there is no such grant');
}
