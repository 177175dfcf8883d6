import { Refusal } from '#domain/refusal.ts';
import { actorContext, knowActor, knowPrincipal, policyPrincipal, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { currentPolicies, policyResource } from './ask-policy.ts';
import { readSimulatedFacts } from './simulated-facts.ts';
import type { PolicyAction, PolicyContext, PolicySource, Verdict } from './ports/policy.ts';

export interface Simulated {
  readonly action: PolicyAction;
  /** Names. */
  readonly principal: string;
  readonly entitlement: string | null;
  /** In place of the facts of the moment; `null` takes one away. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** A draft; `null` for the policies in force. */
  readonly sources: readonly PolicySource[] | null;
}

/** A draft is judged as the version that none is published under. */
const DRAFT = 0;

/**
 * What policy would say of somebody, by the very engine that enforces. Changes nothing.
 * @throws Refusal `not_found` for a name that nobody or nothing bears, `invalid_input` for a fact that there is not
 */
export async function simulatePolicy(app: App, actor: Actor, { action, principal, entitlement, facts, sources }: Simulated): Promise<Verdict> {
  const set = readSimulatedFacts(facts);
  const asked = await app.store.transaction(async (tx) => {
    await knowActor(tx, actor.id);
    const named = await tx.principals.byName(principal);
    const known = named && (await knowPrincipal(tx, named.id));
    if (!known) throw new Refusal('not_found', `there is nobody called "${principal}"`, { field: '/principal' });
    const what = entitlement === null ? null : await tx.catalogue.entitlementByName(entitlement);
    if (entitlement !== null && !what) throw new Refusal('not_found', `there is no entitlement "${entitlement}"`, { field: '/entitlement' });
    const usual = { ...actorContext(actor, tx.now), ...(what ? { durationSeconds: what.defaultDuration } : {}) };
    const context = Object.fromEntries(Object.entries({ ...usual, ...set }).filter(([, value]) => value !== null)) as unknown as PolicyContext;
    return {
      question: { action, principal: policyPrincipal(known), resource: what ? await policyResource(tx, what) : null, context },
      policies: sources === null ? await currentPolicies(tx) : { version: DRAFT, sources },
    };
  });
  return app.policy.decide(asked.policies, asked.question);
}
