import type { Entitlement } from '#domain/entitlement.ts';
import type { EntitlementId } from '#domain/id.ts';
import { knowActor, type Actor } from './actor.ts';
import type { App } from './app.ts';
import { currentPolicies, policyResources } from './ask-policy.ts';
import { judgeRequest, type Judgement } from './judge-request.ts';
import type { Tx } from './ports/store.ts';

/** Who asks, and the policies that stand, read once for as many offers as are judged. */
export type JudgeOffers = (entitlements: readonly Entitlement[]) => Promise<ReadonlyMap<EntitlementId, Judgement>>;

/**
 * Whether this actor could ask for each of these, with the entitlement's own duration: the judgement of a preview. None of them
 * is retired. Between two the event loop turns: policy is asked in this thread, and a long list must not hold up a cut.
 */
export async function judgeOffers(app: App, tx: Tx, actor: Actor): Promise<JudgeOffers> {
  const known = await knowActor(tx, actor.id);
  let read: ReturnType<typeof currentPolicies> | null = null;
  return async (entitlements) => {
    if (entitlements.length === 0) return new Map();
    const policies = await (read ??= currentPolicies(tx));
    const resources = await policyResources(tx, entitlements);
    const judged = new Map<EntitlementId, Judgement>();
    for (const entitlement of entitlements) {
      const resource = resources.get(entitlement.id);
      if (!resource) continue;
      const input = { entitlement: entitlement.name, reason: 'preview', ticket: null, duration: null, startAt: null, onBehalfOf: null, extends: null };
      judged.set(entitlement.id, await judgeRequest(app, tx, actor, input, { known, entitlement, policies, resource }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return judged;
  };
}
