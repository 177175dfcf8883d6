import type { App } from '#app/app.ts';
import { peopleAfter } from '#app/configuration/people-after.ts';
import { readFiles, type SourceFile } from '#app/configuration/read-files.ts';
import { resolve } from '#app/configuration/resolve.ts';
import type { PolicyFinding } from '#app/ports/policy.ts';
import type { Catalogue } from '#policy/catalogue.ts';

/** What would exist if a folder's files were applied, for lint: names resolve against the folder, as `plan` does it. */
export async function draftCatalogue(app: App, files: readonly SourceFile[]): Promise<{ readonly catalogue: Catalogue; readonly findings: readonly PolicyFinding[] }> {
  return await app.store.transaction(async (tx) => {
    const { desired, findings } = readFiles(files);
    const standing = new Set((await tx.principals.all()).map((one) => one.name));
    const resolved = resolve(app, desired, standing);
    const targets = Object.entries(desired.targets).map(([name, { type, folder }]) => ({ name, type, folder: folder ?? null }));
    const catalogue: Catalogue = {
      groups: Object.keys(desired.groups),
      folders: Object.keys(desired.folders),
      principals: await peopleAfter(tx, desired),
      targets,
      entitlements: [...resolved.entitlements].map(([name, one]) => {
        const { file, line, column } = desired.whereIs('entitlements', name);
        return {
          id: name,
          name,
          folder: one.folder,
          kinds: [...new Set(one.parts.map((part) => part.kind))],
          targets: one.parts.flatMap((part) => targets.filter((target) => target.name === part.target)),
          stages: one.stages.map(({ name: stage, groups, required }) => ({ name: stage, groups, required })),
          maxDuration: one.maxDuration,
          place: file === null ? null : { file, line: line ?? 1, column: column ?? 1 },
        };
      }),
    };
    return { catalogue, findings: [...findings, ...resolved.findings] };
  });
}
