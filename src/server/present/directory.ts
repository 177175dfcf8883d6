import type { App } from '#app/app.ts';
import { knowPrincipals, type Known } from '#app/actor.ts';
import { targetSecrets } from '#app/target-access.ts';
import type { Tx } from '#app/ports/store.ts';
import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { Grant, GrantPart } from '#domain/grant.ts';
import type { GrantId, GroupId, PrincipalId, RequestId, TargetId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';
import { byId, together } from './together.ts';

export interface PrincipalRef {
  id: PrincipalId;
  kind: 'person' | 'workload';
  name: string;
  displayName: string;
}

/** What an answer names, each read once, and for the rows of a list together. */
export class Directory {
  readonly app: App;
  readonly tx: Tx;
  readonly viewer: Known;
  readonly known: (id: PrincipalId) => Promise<Known | null>;
  readonly target: (id: TargetId) => Promise<Target | null>;
  readonly request: (id: RequestId) => Promise<AccessRequest | null>;
  readonly reviews: (id: RequestId) => Promise<readonly Review[] | null>;
  readonly grant: (id: GrantId) => Promise<Grant | null>;
  readonly grantOf: (id: RequestId) => Promise<Grant | null>;
  readonly parts: (id: GrantId) => Promise<readonly GrantPart[] | null>;
  readonly liveSessions: (id: GrantId) => Promise<number | null>;
  readonly #accounts = new Map<TargetId, Promise<ReadonlySet<string>>>();
  #groups: Promise<ReadonlyMap<GroupId, string>> | null = null;
  readonly #members = new Map<GroupId, Promise<readonly { principal: PrincipalId; since: Date }[]>>();

  constructor(app: App, tx: Tx, viewer: Known) {
    this.app = app;
    this.tx = tx;
    this.viewer = viewer;
    this.known = together((ids) => knowPrincipals(tx, ids));
    this.target = together(async (ids) => byId(await tx.catalogue.targetsWithIds(ids)));
    this.request = together(async (ids) => byId(await tx.requests.withIds(ids)));
    this.reviews = together((ids) => tx.requests.reviewsOf(ids));
    this.grant = together(async (ids) => byId(await tx.grants.withIds(ids)));
    this.grantOf = together(async (ids) => new Map((await tx.grants.ofRequests(ids)).map((grant) => [grant.request, grant])));
    this.parts = together((ids) => tx.parts.ofGrants(ids));
    this.liveSessions = together((ids) => tx.sessions.countLive(ids));
  }

  async principal(id: PrincipalId): Promise<PrincipalRef> {
    const known = await this.known(id);
    return known ? refOf(known) : { id, kind: id.startsWith('wkl') ? 'workload' : 'person', name: 'unknown', displayName: 'unknown' };
  }

  async targetRef(id: TargetId): Promise<{ id: TargetId; name: string; type: string }> {
    const target = await this.target(id);
    return { id, name: target?.name ?? 'unknown', type: target?.type ?? 'unknown' };
  }

  /** Whether Brevet keeps the secret of this account on a target. */
  async keepsAccount(target: TargetId, account: string): Promise<boolean> {
    const names = remember(this.#accounts, target, async () => new Set(Object.keys((await targetSecrets(this.app, this.tx, target)).accounts)));
    return (await names).has(account);
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
