import type { Seconds } from '#domain/duration.ts';
import type { PolicyPrincipal, PolicyResource } from '#app/ports/policy.ts';
import type { Place } from './findings.ts';

/** What exists, by name, as lint and the simulator need it: made from the store or from YAML, no ids and no secrets. */
export interface Catalogue {
  readonly groups: readonly string[];
  readonly folders: readonly string[];
  /** People and workloads that are not disabled. A workload's `owner` is a person's name. */
  readonly principals: readonly PolicyPrincipal[];
  readonly targets: PolicyResource['targets'];
  readonly entitlements: readonly CatalogueEntitlement[];
}

export interface CatalogueEntitlement extends PolicyResource {
  readonly stages: readonly { readonly name: string; readonly groups: readonly string[]; readonly required: number }[];
  readonly maxDuration: Seconds;
  /** Where it is written, if it comes from a file. */
  readonly place: Place | null;
}

/** The names of one entity type of the schema, or `null` for types whose names the catalogue does not list. */
export function namesOf(catalogue: Catalogue, type: string): readonly string[] | null {
  const names = (kind: PolicyPrincipal['kind']) => catalogue.principals.filter((one) => one.kind === kind).map(({ name }) => name);
  switch (type) {
    case 'Group':
      return catalogue.groups;
    case 'Folder':
      return catalogue.folders;
    case 'Target':
      return catalogue.targets.map(({ name }) => name);
    case 'Entitlement':
      return catalogue.entitlements.map(({ name }) => name);
    case 'Person':
      return names('person');
    case 'Workload':
      return names('workload');
    default:
      return null;
  }
}
