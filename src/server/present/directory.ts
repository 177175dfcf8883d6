import type { App } from '#app/app.ts';
import { knowPrincipal, type Known } from '#app/actor.ts';
import type { Tx } from '#app/ports/store.ts';
import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { GroupId, PrincipalId, TargetId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';

export interface PrincipalRef {
  id: PrincipalId;
  kind: 'person' | 'workload';
  name: string;
  displayName: string;
}

/** Names for ids, each read once for an answer. */
export class Directory {
  readonly app: App;
  readonly tx: Tx;
  readonly viewer: Known;
  readonly #principals = new Map<PrincipalId, Promise<Known | null>>();
  readonly #targets = new Map<TargetId, Promise<Target | null>>();
  #groups: Promise<ReadonlyMap<GroupId, string>> | null = null;
  readonly #members = new Map<GroupId, Promise<readonly { principal: PrincipalId; since: Date }[]>>();

  constructor(app: App, tx: Tx, viewer: Known) {
    this.app = app;
    this.tx = tx;
    this.viewer = viewer;
  }

  known(id: PrincipalId): Promise<Known | null> {
    return remember(this.#principals, id, () => knowPrincipal(this.tx, id));
  }

  async principal(id: PrincipalId): Promise<PrincipalRef> {
    const known = await this.known(id);
    return known ? refOf(known) : { id, kind: id.startsWith('wkl') ? 'workload' : 'person', name: 'unknown', displayName: 'unknown' };
  }

  target(id: TargetId): Promise<Target | null> {
    return remember(this.#targets, id, () => this.tx.catalogue.target(id));
  }

  async targetRef(id: TargetId): Promise<{ id: TargetId; name: string; type: string }> {
    const target = await this.target(id);
    return { id, name: target?.name ?? 'unknown', type: target?.type ?? 'unknown' };
  }

  async groupName(id: GroupId): Promise<string> {
    this.#groups ??= this.tx.catalogue.groups().then((groups) => new Map(groups.map((group) => [group.id, group.name])));
    return (await this.#groups).get(id) ?? 'unknown';
  }

  members(id: GroupId): Promise<readonly { principal: PrincipalId; since: Date }[]> {
    return remember(this.#members, id, () => this.tx.catalogue.members(id));
  }

  /** A scope in plain words. */
  async reach(target: TargetId, kind: Entitlement['parts'][number]['kind'], scope: JsonObject): Promise<string[]> {
    const type = (await this.target(target))?.type;
    const connector = type === undefined ? undefined : this.app.connectors.get(type);
    return connector ? [...connector.describe(kind, scope)] : ['this build has no connector for this target'];
  }
}

export function refOf({ principal: { id, kind, name, displayName } }: Known): PrincipalRef {
  return { id, kind, name, displayName };
}

export function entitlementRef({ id, name, title, revision }: Entitlement) {
  return { id, name, title, revision };
}

export const iso = (instant: Date | null) => instant?.toISOString() ?? null;

function remember<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const held = map.get(key);
  if (held !== undefined) return held;
  const made = make();
  map.set(key, made);
  return made;
}
