import type { App } from '#app/app.ts';
import { isDisabled, knowPrincipal, policyPrincipal } from '#app/actor.ts';
import { policyResource } from '#app/ask-policy.ts';
import type { PolicyEngine } from '#app/ports/policy.ts';
import type { Catalogue } from '#policy/catalogue.ts';
import { lintPolicies } from '#policy/lint.ts';
import { runPolicyTests } from '#policy/test-cases.ts';
import { validatePolicies } from '#policy/validate.ts';
import type { PolicyTools } from '#server/deps.ts';
import { draftCatalogue } from './draft-catalogue.ts';

/** A draft is judged as the version that none is published under. */
const DRAFT = 0;

export function policyTools(engine: PolicyEngine): PolicyTools {
  return {
    async lint(sources, files, app) {
      const draft = files === null ? null : await draftCatalogue(app, files);
      const found = [...(draft?.findings ?? []), ...validatePolicies(sources)];
      return found.some((one) => one.severity === 'error') ? found : [...found, ...lintPolicies(sources, draft?.catalogue ?? (await catalogueOf(app)))];
    },
    test(sources, tests) {
      const { passed, failed, cases } = runPolicyTests(engine, { version: DRAFT, sources }, tests);
      return { passed, failed, cases: cases.map((one) => ({ ...one, explanation: [...one.explanation] })) };
    },
  };
}

/** What exists, for lint: from the store. */
export function catalogueOf(app: App): Promise<Catalogue> {
  return app.store.transaction(async (tx) => {
    const groups = await tx.catalogue.groups();
    const groupName = new Map(groups.map((group) => [group.id, group.name]));
    const folders = await tx.catalogue.folders();
    const folderName = new Map(folders.map((folder) => [folder.id, folder.name]));
    const known = await Promise.all((await tx.principals.all()).map((one) => knowPrincipal(tx, one.id)));
    const entitlements = (await tx.catalogue.entitlements()).filter((one) => one.retiredAt === null);
    return {
      groups: groups.map((group) => group.name),
      folders: folders.map((folder) => folder.name),
      principals: known.flatMap((one) => (one && !isDisabled(one) ? [policyPrincipal(one)] : [])),
      targets: (await tx.catalogue.targets()).filter((one) => one.retiredAt === null).map(({ name, type, folder }) => ({ name, type, folder: folder === null ? null : (folderName.get(folder) ?? null) })),
      entitlements: await Promise.all(
        entitlements.map(async (one) => ({
          ...(await policyResource(tx, one)),
          stages: one.stages.map(({ name, groups: of, required }) => ({ name, required, groups: of.map((id) => groupName.get(id) ?? '') })),
          maxDuration: one.maxDuration,
          place: null,
        })),
      ),
    };
  });
}
