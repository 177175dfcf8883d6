import type { TargetId } from '#domain/id.ts';
import { connectorFor, type App } from '../app.ts';
import { openTarget } from '../target-access.ts';
import { whatWentWrong } from './attempt.ts';
import { sideBySide } from './side-by-side.ts';

/** How often a target that owes a removal is knocked at while it does not answer. */
export const PROBE_EVERY_MS = 3000;

/** A silent target takes a place for three seconds: enough places for whole zones to be silent. */
const AT_ONCE = 32;

/**
 * Knocks at targets that are marked unreachable; the moment one answers, everything it owes is due. Targets are knocked
 * at side by side, so that a silent one delays nobody.
 */
export async function probeTargets(app: App): Promise<void> {
  const ids = await app.store.transaction((tx) => tx.parts.targetsToProbe(new Date(tx.now.getTime() - PROBE_EVERY_MS)));
  await sideBySide(app, 'a probe', ids, AT_ONCE, async (id) => {
    try {
      await probeTarget(app, id);
    } catch (error) {
      // A credential that does not open, say. It is no answer of the target: only noted, and looked at again in its turn.
      await app.store.transaction((tx) => tx.catalogue.setHealth(id, { checkedAt: tx.now, problem: whatWentWrong(error).message }));
      throw error;
    }
  });
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
