import type { Actor } from '#app/actor.ts';
import type { App } from '#app/app.ts';
import { judgeOffers, type JudgeOffers } from '#app/judge-offers.ts';
import type { NamedPage, TargetHealth } from '#app/ports/store.ts';
import type { Answer } from '#contract/routes.ts';
import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { TargetId } from '#domain/id.ts';
import { nextName } from '../viewing.ts';
import { entitlementRef, iso, type Directory } from './directory.ts';

type Wire = Answer<'targets'>;
type Health = TargetHealth & { readonly hasCredential: boolean };

/** All targets for administrators; for others those on which policy lets them ask for something. */
export async function listTargets(app: App, directory: Directory, actor: Actor, page: NamedPage): Promise<Wire> {
  const { tx, viewer } = directory;
  const offers = offersByTarget((await tx.catalogue.entitlements()).filter((one) => one.retiredAt === null));
  const rows = viewer.principal.administrator
    ? await tx.catalogue.targetPage(page)
    : await requestable(directory, await judgeOffers(app, tx, actor), offers, page);
  const folders = new Map((await tx.catalogue.folders()).map((folder) => [folder.id, folder.name]));
  const health = await tx.catalogue.healthOf(rows.map(({ id }) => id));
  const items = rows.map((one) =>
    presentTarget(one, viewer.principal.administrator, one.folder === null ? null : (folders.get(one.folder) ?? null), health.get(one.id), offers.get(one.id) ?? []));
  return { items, next: nextName(rows, page.limit) };
}

function offersByTarget(entitlements: readonly Entitlement[]): ReadonlyMap<TargetId, readonly Entitlement[]> {
  const found = new Map<TargetId, Entitlement[]>();
  for (const one of entitlements) for (const target of new Set(one.parts.map((part) => part.target))) found.set(target, [...(found.get(target) ?? []), one]);
  return found;
}

/** Page after page of all targets, until there are enough that this caller may ask for. */
async function requestable({ tx }: Directory, judge: JudgeOffers, offers: ReadonlyMap<TargetId, readonly Entitlement[]>, { after, limit }: NamedPage): Promise<readonly Target[]> {
  const found: Target[] = [];
  const allowed = new Map<string, boolean>();
  for (let from = after; ; ) {
    const some = await tx.catalogue.targetPage({ after: from, limit });
    const open = some.filter((one) => one.retiredAt === null);
    const unknown = new Set(open.flatMap((one) => offers.get(one.id) ?? []).filter((one) => !allowed.has(one.id)));
    for (const [id, { outcome }] of await judge([...unknown])) allowed.set(id, outcome !== 'refused');
    found.push(...open.filter((one) => (offers.get(one.id) ?? []).some(({ id }) => allowed.get(id))));
    if (found.length >= limit || some.length < limit) return found.slice(0, limit);
    from = some.at(-1)?.name ?? null;
  }
}

function presentTarget(target: Target, administrator: boolean, folder: string | null, health: Health | undefined, entitlements: readonly Entitlement[]): Wire['items'][number] {
  return {
    id: target.id,
    name: target.name,
    type: target.type,
    folder,
    // Where a target is, and how Brevet signs in, is for administrators.
    config: (administrator ? target.config : {}) as Wire['items'][number]['config'],
    hasCredential: health?.hasCredential ?? false,
    retiredAt: iso(target.retiredAt),
    health: {
      state: health?.checkedAt ? (health.unreachableSince ? 'unreachable' : 'reachable') : 'unknown',
      checkedAt: iso(health?.checkedAt ?? null),
      unreachableSince: iso(health?.unreachableSince ?? null),
      problem: administrator ? (health?.problem ?? null) : null,
      skewMs: health?.skewMs ?? null,
      version: administrator ? (health?.version ?? null) : null,
    },
    entitlements: entitlements.map(entitlementRef),
  };
}
