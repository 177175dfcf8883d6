import type { PolicyEngine, PolicyQuestion, PolicySet, Verdict } from '#app/ports/policy.ts';

/** A policy set of the simulator: everything is permitted but what is named. */
export interface Rules {
  /** Entitlements that need no human. */
  readonly auto: readonly string[];
  /** `connect ann`, `activate orders-write`: an action with the name of a principal or an entitlement. */
  readonly deny: readonly string[];
}

export const sourcesOf = (rules: Rules) => [{ file: 'rules.json', text: JSON.stringify(rules) }];

export function rulesOf(set: Pick<PolicySet, 'sources'>): Rules {
  return JSON.parse(set.sources[0]?.text ?? '{"auto":[],"deny":[]}') as Rules;
}

export function permits(rules: Rules, action: string, principal: string, entitlement: string | null): boolean {
  if (rules.deny.includes(`${action} ${principal}`) || rules.deny.includes(`${action} ${entitlement}`)) return false;
  return action !== 'autoApprove' || (entitlement !== null && rules.auto.includes(entitlement));
}

/** In place of Cedar, which takes half a millisecond for each question. */
export const simPolicy: PolicyEngine = {
  validate: () => [],
  decide: (set: PolicySet, { action, principal, resource }: PolicyQuestion): Verdict => {
    const allowed = permits(rulesOf(set), action, principal.name, resource?.name ?? null);
    const match = { id: action, effect: allowed ? ('permit' as const) : ('forbid' as const), reason: null };
    return { allowed, policyVersion: set.version, satisfied: allowed ? [match] : [], forbidden: allowed ? [] : [match], nearest: [], failed: [] };
  },
};
