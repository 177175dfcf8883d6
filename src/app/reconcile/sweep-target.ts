import { orphanRemoved } from '#domain/events/grant-events.ts';
import type { TargetId } from '#domain/id.ts';
import { connectorFor, type App } from '../app.ts';
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
  const live = await app.store.transaction((tx) => tx.parts.liveObjects(id));
  const orphans = found.filter((object) => !live.has(object.name));
  for (const { name } of orphans) {
    const taken = await connector.removeOwned(access, name);
    app.journal.warn('removed what no live grant owns', { target: id, object: name, gone: taken.gone });
    await app.store.transaction((tx) => tx.log(orphanRemoved(id, name, taken.gone, taken.evidence)));
  }
  await app.store.transaction((tx) => tx.catalogue.setHealth(id, { sweptAt: tx.now }));
  return orphans.length;
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
