import { orphanRemoved } from '#domain/events/grant-events.ts';
import type { TargetId } from '#domain/id.ts';
import { connectorFor, type App } from '../app.ts';
import type { Connector, TargetAccess } from '../ports/connector.ts';
import { openTarget } from '../target-access.ts';

/**
 * The third net: lists Brevet's objects on a target and removes what no live grant owns. The list is taken before the
 * store is asked, and a plan is in the store before its object exists, so whatever is listed and not in the store is
 * nobody's: a late creation by a worker that slept, say.
 */
export async function sweepTarget(app: App, id: TargetId): Promise<number> {
  const { type, access } = await app.store.transaction((tx) => openTarget(app, tx, id));
  const connector = connectorFor(app, type);
  const found = await connector.listOwned(access);
  const live = await app.store.transaction((tx) => tx.parts.liveObjects(found.map(({ name }) => name)));
  const suspects = new Set(found.filter((object) => !live.has(object.name)).map(({ name }) => name));
  // What an ordinary removal took away between the two looks is no orphan: only what still stands is one.
  const orphans = suspects.size === 0 ? [] : (await connector.listOwned(access)).filter(({ name }) => suspects.has(name));
  let resisted = 0;
  for (const { name } of orphans) if (!(await removeOrphan(app, connector, access, name))) resisted += 1;
  // With something left to remove the target stays due: it is looked at again in the next round.
  if (resisted === 0) await app.store.transaction((tx) => tx.catalogue.setHealth(id, { sweptAt: tx.now }));
  return orphans.length;
}

/** One that resists must not keep the others. Answers whether there was nothing in the way. */
async function removeOrphan(app: App, connector: Connector, access: TargetAccess, name: string): Promise<boolean> {
  try {
    const taken = await connector.removeOwned(access, name);
    app.journal.warn('removed what no live grant owns', { target: access.id, object: name, gone: taken.gone });
    await app.store.transaction((tx) => tx.log(orphanRemoved(access.id, name, taken.gone, taken.evidence)));
    return true;
  } catch (error) {
    app.journal.warn('an orphan could not be removed', { target: access.id, object: name, message: String(error).slice(0, 200) });
    return false;
  }
}

/** Sweeps every target not swept for `everyMs`. A target that does not answer is left for the next round. */
export async function sweepTargets(app: App, everyMs: number): Promise<void> {
  const due = await app.store.transaction(async (tx) => {
    const targets: TargetId[] = [];
    for (const { id } of await tx.catalogue.targets()) {
      const health = await tx.catalogue.health(id);
      const recently = health?.sweptAt && health.sweptAt.getTime() > tx.now.getTime() - everyMs;
      if (!recently && !health?.unreachableSince && (await tx.catalogue.credential(id))) targets.push(id);
    }
    return targets;
  });
  await Promise.all(
    due.map((id) =>
      sweepTarget(app, id).catch((error: unknown) => app.journal.warn('a sweep failed', { target: id, message: String(error).slice(0, 200) })),
    ),
  );
}
