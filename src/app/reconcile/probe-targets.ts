import type { TargetId } from '#domain/id.ts';
import { connectorFor, type App } from '../app.ts';
import type { Tx } from '../ports/store.ts';
import { openTarget } from '../target-access.ts';
import { whatWentWrong } from './attempt.ts';
import type { Reach } from './reach.ts';
import { sideBySide } from './side-by-side.ts';

/** How often a target that owes a removal is knocked at while it does not answer. */
export const PROBE_EVERY_MS = 3000;

/** A silent target takes a place for three seconds: enough places for whole zones to be silent. */
const AT_ONCE = 32;

/** Beyond what any attempt is put off (attempt.ts) and any claim lasts without its worker's word (lane.ts). */
const FURTHEST_MS = 61_000;

/**
 * Knocks at targets that are marked unreachable; the moment one answers, everything it owes is due. Targets are knocked
 * at side by side, so that a silent one delays nobody.
 */
export async function probeTargets(app: App, reach: Reach): Promise<void> {
  const marked = await app.store.transaction(async (tx) => {
    await wakeStranded(app, tx);
    return await tx.parts.targetsToProbe();
  });
  const ids = [...new Set([...marked, ...reach.unanswered()])].filter((id) => reach.restedFor(id, PROBE_EVERY_MS));
  await sideBySide(app, 'a probe', ids, AT_ONCE, async (id) => {
    try {
      await probeTarget(app, reach, id);
    } catch (error) {
      // A credential that does not open, say. It is no answer of the target: only noted, and looked at again in its turn.
      reach.knocked(id, null);
      await app.store.transaction((tx) => tx.catalogue.setHealth(id, { checkedAt: tx.now, problem: whatWentWrong(error).message }));
      throw error;
    }
  });
}

/** The store's clock may go back: what was put off, or claimed, by what it said before would wait until it says so again. */
async function wakeStranded(app: App, tx: Tx): Promise<void> {
  const woken = await tx.parts.wakeStranded(new Date(tx.now.getTime() + FURTHEST_MS), tx.now);
  if (woken === 0) return;
  app.journal.warn('the clock of the store went back', { woken });
  await tx.notify('work');
}

async function probeTarget(app: App, reach: Reach, id: TargetId): Promise<void> {
  const { type, access } = await app.store.transaction((tx) => openTarget(app, tx, id));
  const probe = await connectorFor(app, type).probe(access);
  reach.knocked(id, probe.reachable);
  await app.store.transaction(async (tx) => {
    const before = await tx.catalogue.health(id);
    // Others reach it: that we do not is ours to know.
    if (!probe.reachable && before?.checkedAt && !before.unreachableSince) return;
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
