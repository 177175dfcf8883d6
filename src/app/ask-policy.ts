import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { EntitlementId, FolderId, PrincipalId, TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from './app.ts';
import type { PolicyAction, PolicyContext, PolicyPrincipal, PolicyResource, PolicySet, Verdict } from './ports/policy.ts';
import { verdictJson } from './ports/policy.ts';
import type { CatalogueTable, Tx } from './ports/store.ts';

/** @throws Refusal `unavailable` before any policy was published: with no policy nothing is granted */
export async function currentPolicies(tx: Tx): Promise<PolicySet & { readonly publishedBy: PrincipalId | null }> {
  const set = await tx.policies.current();
  if (set) return set;
  throw new Refusal('unavailable', 'no policies are published yet', { hint: 'An administrator publishes them with: brevet apply FOLDER' });
}

/** An entitlement as policies see it: by names, which are never given to another object. */
export async function policyResource(tx: { readonly catalogue: Pick<CatalogueTable, 'folders' | 'target'> }, entitlement: Entitlement): Promise<PolicyResource> {
  const folders = new Map((await tx.catalogue.folders()).map((folder) => [folder.id, folder.name]));
  const targets = await Promise.all(entitlement.parts.map((part) => tx.catalogue.target(part.target)));
  return resourceOf(entitlement, folders, new Map(targets.filter((one) => one !== null).map((one) => [one.id, one])));
}

/** Many, by the entitlement's id, with folders and targets read once. */
export async function policyResources(tx: Tx, entitlements: readonly Entitlement[]): Promise<ReadonlyMap<EntitlementId, PolicyResource>> {
  const folders = new Map((await tx.catalogue.folders()).map((folder) => [folder.id, folder.name]));
  const ids = [...new Set(entitlements.flatMap(({ parts }) => parts.map((part) => part.target)))];
  const targets = new Map((await tx.catalogue.targetsWithIds(ids)).map((target) => [target.id, target]));
  return new Map(entitlements.map((one) => [one.id, resourceOf(one, folders, targets)]));
}

function resourceOf(entitlement: Entitlement, folders: ReadonlyMap<FolderId, string>, known: ReadonlyMap<TargetId, Target>): PolicyResource {
  const targets = entitlement.parts.map((part) => known.get(part.target));
  return {
    id: entitlement.id,
    name: entitlement.name,
    folder: entitlement.folder === null ? null : (folders.get(entitlement.folder) ?? null),
    kinds: [...new Set(entitlement.parts.map((part) => part.kind))],
    targets: targets.flatMap((target) =>
      target ? [{ name: target.name, type: target.type, folder: target.folder === null ? null : (folders.get(target.folder) ?? null) }] : [],
    ),
  };
}

export interface Question {
  readonly action: PolicyAction;
  readonly principal: PolicyPrincipal;
  readonly resource: PolicyResource | null;
  readonly context: PolicyContext;
}

/** @throws Refusal `policy_denied` with the verdict, unless policy allows it */
export function demand(app: App, set: PolicySet, question: Question): Verdict {
  const verdict = app.policy.decide(set, question);
  if (verdict.allowed) return verdict;
  throw new Refusal('policy_denied', deniedBecause(verdict, question.action), { facts: { verdict: verdictJson(verdict) } });
}

/** One sentence for a refusal: the deciding forbids, else the nearest permit's missing conditions. */
export function deniedBecause(verdict: Verdict, action: PolicyAction): string {
  const forbids = verdict.forbidden.map((match) => match.reason ?? match.id);
  if (forbids.length > 0) return `policy forbids it: ${forbids.join('; ')}`;
  if (verdict.failed.length > 0) return `a policy could not be evaluated: ${verdict.failed.map((f) => `${f.id}: ${f.message}`).join('; ')}`;
  const [nearest] = verdict.nearest;
  if (nearest) return `no policy permits it; the nearest, ${nearest.id}, would need: ${nearest.unsatisfied.join('; ')}`;
  return `no policy permits "${action}" here`;
}
