import type { PolicyContext, PolicyPrincipal, PolicyQuestion, PolicyResource, PolicySet } from '#app/ports/policy.ts';

/** The people of the demonstration world, as policies see them, and small makers of questions and sets. */

function person(name: string, groups: readonly string[], administrator = false): PolicyPrincipal {
  return { kind: 'person', id: `per_${name}`, name, groups, owner: null, administrator };
}

export const ada = person('ada', ['developers']);
export const kim = person('kim', ['developers', 'order-leads']);
export const ines = person('ines', ['dba']);
export const sam = person('sam', [], true);
export const reportBot: PolicyPrincipal = {
  kind: 'workload',
  id: 'wkl_report-bot',
  name: 'report-bot',
  groups: [],
  owner: 'ada',
  administrator: false,
};

const orders = { name: 'orders', type: 'postgres', folder: 'shop' } as const;

export function entitlement(name: string, targets: PolicyResource['targets'] = [orders], folder: string | null = 'shop'): PolicyResource {
  return { id: `ent_${name}`, name, folder, kinds: ['ephemeral_account'], targets };
}

/** A Monday, ten o'clock UTC. */
export const MONDAY = '2026-01-05T10:00:00.000Z';

/** Ada asks for orders-read, for half an hour, with a ticket; `change` says what is different. */
export function question(change: Partial<Omit<PolicyQuestion, 'context'>> & { readonly context?: Partial<PolicyContext> } = {}): PolicyQuestion {
  const context = { now: MONDAY, durationSeconds: 1800, ticket: 'SHOP-12', ...change.context };
  return { action: 'request', principal: ada, resource: entitlement('orders-read'), ...change, context };
}

export function policySet(text: string, version = 1, file = 'test.cedar'): PolicySet {
  return { version, sources: [{ file, text }] };
}
