import type { TargetId } from '#domain/id.ts';
import { connectorFor, type App } from '../app.ts';
import { openTarget } from '../target-access.ts';

/** How often a target that owes a removal is knocked at while it does not answer. */
export const PROBE_EVERY_MS = 3000;

/**
 * Knocks at targets that are marked unreachable; the moment one answers, everything it owes is due. Targets are knocked
 * at side by side, so that a silent one delays nobody.
 */
export async function probeTargets(app: App): Promise<void> {
  const ids = await app.store.transaction((tx) => tx.parts.targetsToProbe(new Date(tx.now.getTime() - PROBE_EVERY_MS)));
  await Promise.all(ids.map((id) => probeTarget(app, id)));
}

async function probeTarget(app: App, id: TargetId): Promise<void> {
  const { type, access } = await app.store.transaction((tx) => openTarget(app, tx, id));
  const probe = await connectorFor(app, type).probe(access);
  await app.store.transaction(async (tx) => {
    const before = await tx.catalogue.health(id);
    await tx.catalogue.setHealth(id, {
      checkedAt: tx.now,
      unreachableSince: probe.reachable ? null : (before?.unreachableSince ?? tx.now),
      problem: probe.problem,
      skewMs: probe.skewMs === null ? null : Math.round(probe.skewMs),
      version: probe.version,
    });
    if (!probe.reachable || !before?.unreachableSince) return;
    const due = await tx.parts.wakeTarget(id, tx.now);
    app.journal.info('a target answers again', { target: id, due });
    await tx.notify('work');
  });
}
