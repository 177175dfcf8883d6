import { orphanRemoved } from '#domain/events/grant-events.ts';
import type { TargetId } from '#domain/id.ts';
import { connectorFor, type App } from '../app.ts';
import type { Connector, TargetAccess } from '../ports/connector.ts';
import { openTarget } from '../target-access.ts';
import { sideBySide } from './side-by-side.ts';

/** Sweeps at a time: they are nobody's hurry, and each is a connection to a target. */
const AT_ONCE = 8;

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
  const gone: string[] = [];
  for (const { name } of orphans) if (await removeOrphan(app, connector, access, name)) gone.push(name);
  if (gone.length < orphans.length) await dueAgain(app, id);
  return gone.length;
}

/** One that resists must not keep the others. Answers whether it was read back and is gone: only then it was removed. */
async function removeOrphan(app: App, connector: Connector, access: TargetAccess, name: string): Promise<boolean> {
  try {
    const { gone, evidence } = await connector.removeOwned(access, name);
    app.journal.warn(gone ? 'removed what no live grant owns' : 'an orphan resists', { target: access.id, object: name });
    if (gone) await app.store.transaction((tx) => tx.log(orphanRemoved(access.id, name, evidence)));
    return gone;
  } catch (error) {
    app.journal.warn('an orphan could not be removed', { target: access.id, object: name, message: String(error).slice(0, 200) });
    return false;
  }
}

/** With something left to do, a target is looked at again in the next round. */
const dueAgain = (app: App, id: TargetId) => app.store.transaction((tx) => tx.catalogue.setHealth(id, { sweptAt: null }));

/** Sweeps every target not swept for `everyMs`. Each is claimed: of two servers one finds, removes and tells. */
export async function sweepTargets(app: App, everyMs: number): Promise<void> {
  const due = await app.store.transaction((tx) => tx.catalogue.claimSweeps(new Date(tx.now.getTime() - everyMs)));
  await sideBySide(app, 'a sweep', due, AT_ONCE, async (id) => {
    try {
      await sweepTarget(app, id);
    } catch (error) {
      await dueAgain(app, id);
      throw error;
    }
  });
}
