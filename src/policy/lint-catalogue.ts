import type { PolicyAction, PolicyFinding } from '#app/ports/policy.ts';
import type { Seconds } from '#domain/duration.ts';
import { unpassableStage } from '#domain/approval-reach.ts';
import { formatDuration } from '#domain/duration.ts';
import type { Catalogue, CatalogueEntitlement } from './catalogue.ts';
import type { FindingCode } from './findings.ts';
import { finding } from './findings.ts';
import { actionsOf, entityNames } from './policy-tree.ts';
import type { ReadPolicy } from './read-policies.ts';

/** Finds entitlements that nobody could get, that one absent person blocks, or that last too long. */
export function lintCatalogue(policies: readonly ReadPolicy[], catalogue: Catalogue, longest: Seconds): PolicyFinding[] {
  return catalogue.entitlements.flatMap((entitlement) => {
    const found: PolicyFinding[] = [];
    const report = (severity: PolicyFinding['severity'], code: FindingCode, message: string) =>
      found.push(finding(severity, code, `${entitlement.name}: ${message}`, entitlement.place));
    if (!mentioned(policies, 'request', entitlement)) report('warning', 'no_requester', 'no policy lets anybody request it');
    if (entitlement.stages.length === 0 && !mentioned(policies, 'autoApprove', entitlement)) {
      report('error', 'no_approval_path', 'it has no approval stage, and no policy approves it automatically: every request is refused');
    }
    if (entitlement.maxDuration > longest) {
      const [most, limit] = [formatDuration(entitlement.maxDuration), formatDuration(longest)];
      report('warning', 'duration_over_limit', `it may be held for ${most}; more than ${limit} is hardly just in time`);
    }
    const stuck = unpassableStage(entitlement.stages, catalogue.principals, null);
    if (stuck !== null) report('error', 'stage_unpassable', `the stage "${stuck}" can't be passed: too few different people are in its groups`);
    else reportSubstitutes(entitlement, catalogue, (message) => report('warning', 'stage_without_substitute', message));
    for (const { name, folder } of entitlement.targets) {
      if (entitlement.folder === null || folder === null || folder === entitlement.folder) continue;
      report('warning', 'folder_differs', `it is in folder ${entitlement.folder}, its target ${name} in ${folder}; policies for either folder apply`);
    }
    return found;
  });
}

/** Names those whose own request would hang, because without them a stage has too few people; the same holds when they are away. */
function reportSubstitutes(entitlement: CatalogueEntitlement, catalogue: Catalogue, report: (message: string) => void): void {
  const inStages = new Set(entitlement.stages.flatMap(({ groups }) => groups));
  const reviewers = catalogue.principals.filter(({ kind, groups }) => kind === 'person' && groups.some((group) => inStages.has(group)));
  const stuck = reviewers.filter(({ name }) => unpassableStage(entitlement.stages, catalogue.principals, name) !== null);
  if (stuck.length === 0) return;
  report(`nobody can stand in for ${stuck.map(({ name }) => name).join(', ')}: away or requesting, a stage can't be passed`);
}

/** Whether the scope of some permit for the action covers the entitlement. Conditions are left out: they depend on the moment. */
function mentioned(policies: readonly ReadPolicy[], action: PolicyAction, entitlement: CatalogueEntitlement): boolean {
  const within = new Set([
    `Entitlement::${entitlement.name}`,
    ...(entitlement.folder === null ? [] : [`Folder::${entitlement.folder}`]),
    ...entitlement.targets.flatMap(({ name, folder }) => [`Target::${name}`, ...(folder === null ? [] : [`Folder::${folder}`])]),
  ]);
  return policies.some(({ json }) => {
    if (json.effect !== 'permit' || !(actionsOf(json)?.includes(action) ?? true)) return false;
    const named = entityNames(json.resource);
    if (json.resource.op === 'is' && json.resource.entity_type !== 'Entitlement') return false;
    return named.length === 0 || named.some(({ type, id }) => within.has(`${type}::${id}`));
  });
}
