import type { Grant } from '#domain/grant.ts';
import type { EndReason } from '#domain/lifecycle.ts';
import { isDisabled, knowPrincipal, policyPrincipal } from '../actor.ts';
import type { App } from '../app.ts';
import { currentPolicies, policyResource } from '../ask-policy.ts';
import { decidingPolicies } from '../ports/policy.ts';
import type { Tx } from '../ports/store.ts';

/** Why a grant may not become real: what its end will be put down to, and the policies that decided it. */
export interface Obstacle {
  readonly reason: EndReason;
  readonly policies: readonly string[];
}

const because = (reason: EndReason, policies: readonly string[] = []): Obstacle => ({ reason, policies });

/**
 * Nothing is inherited from the approval: identity, entitlement and policy are asked again at the start (I7). `null` when
 * nothing is in the way.
 */
export async function activationObstacle(app: App, tx: Tx, grant: Grant): Promise<Obstacle | null> {
  const holder = await knowPrincipal(tx, grant.principal);
  if (!holder || isDisabled(holder)) return because('identity_disabled');
  const entitlement = await tx.catalogue.entitlement(grant.entitlementId);
  if (!entitlement || entitlement.retiredAt !== null) return because('entitlement_retired');
  // The entitlement may have moved on to another target since it was asked for; a retired one is touched no more.
  const targets = await Promise.all(grant.entitlement.parts.map((part) => tx.catalogue.target(part.target)));
  if (targets.some((target) => target === null || target.retiredAt !== null)) return because('target_retired');
  const verdict = app.policy.decide(await currentPolicies(tx), {
    action: 'activate',
    principal: policyPrincipal(holder),
    resource: await policyResource(tx, grant.entitlement),
    context: { now: tx.now.toISOString(), durationSeconds: grant.durationSeconds },
  });
  return verdict.allowed ? null : because('policy_changed', decidingPolicies(verdict));
}
