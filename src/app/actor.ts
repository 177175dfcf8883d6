import type { PrincipalId } from '#domain/id.ts';
import type { Membership, Principal } from '#domain/principal.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Authentication } from '#domain/review.ts';
import type { PolicyContext, PolicyPrincipal } from './ports/policy.ts';
import type { Tx } from './ports/store.ts';

/** Who calls, and how they proved it. Facts that a decision hangs on are read again inside its transaction. */
export interface Actor {
  readonly id: PrincipalId;
  readonly authentication: Authentication;
  readonly clientAddress: string | null;
}

/** A principal with its groups, fresh from the store. */
export interface Known {
  readonly principal: Principal;
  readonly memberships: readonly Membership[];
  readonly owner: Principal | null;
}

/**
 * Reads who the actor is now. @throws Refusal `unauthenticated` when they are gone or disabled: a workload falls with
 * its owner.
 */
export async function knowActor(tx: Tx, id: PrincipalId): Promise<Known> {
  const known = await knowPrincipal(tx, id);
  if (!known || isDisabled(known)) throw new Refusal('unauthenticated', 'this identity is disabled');
  return known;
}

/** As many as are asked for by three questions; those that are not known are left out. */
export async function knowPrincipals(tx: Tx, ids: readonly PrincipalId[]): Promise<ReadonlyMap<PrincipalId, Known>> {
  const principals = await tx.principals.withIds(ids);
  const owners = new Map((await tx.principals.withIds([...new Set(principals.flatMap(({ owner }) => owner ?? []))])).map((owner) => [owner.id, owner]));
  const memberships = await tx.principals.membershipsOf(ids);
  return new Map(principals.map((principal) => [
    principal.id, { principal, memberships: memberships.get(principal.id) ?? [], owner: (principal.owner && owners.get(principal.owner)) ?? null },
  ]));
}

export async function knowPrincipal(tx: Tx, id: PrincipalId): Promise<Known | null> {
  const principal = await tx.principals.byId(id);
  if (!principal) return null;
  const owner = principal.owner === null ? null : await tx.principals.byId(principal.owner);
  return { principal, memberships: await tx.principals.memberships(id), owner };
}

export function isDisabled({ principal, owner }: Known): boolean {
  return principal.disabledAt !== null || (principal.kind === 'workload' && (owner === null || owner.disabledAt !== null));
}

export function policyPrincipal({ principal, memberships, owner }: Known): PolicyPrincipal {
  return {
    kind: principal.kind,
    id: principal.id,
    name: principal.name,
    groups: memberships.map((m) => m.groupName),
    owner: owner?.name ?? null,
    administrator: principal.administrator,
  };
}

/** The facts of the moment about a caller; what is not known stays absent. */
export function actorContext(actor: Actor, now: Date): PolicyContext {
  return {
    now: now.toISOString(),
    ...(actor.clientAddress === null ? {} : { clientIp: actor.clientAddress }),
    authentication: {
      method: actor.authentication.method,
      ageSeconds: Math.max(0, Math.floor((now.getTime() - actor.authentication.at.getTime()) / 1000)),
      phishingResistant: actor.authentication.phishingResistant,
    },
  };
}
