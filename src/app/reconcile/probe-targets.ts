import type { TargetId } from '#domain/id.ts';
import { connectorFor, type App } from '../app.ts';
import type { Tx } from '../ports/store.ts';
import { openTarget } from '../target-access.ts';
import { markOf, whatWentWrong } from './attempt.ts';
import type { Reach } from './reach.ts';

/** How often a target that owes a removal is knocked at while it does not answer. */
export const PROBE_EVERY_MS = 3000;

/** A silent target takes a place for three seconds: enough places for whole zones to be silent. */
const AT_ONCE = 32;

/** Beyond what any attempt is put off (attempt.ts) and any claim lasts without its worker's word (lane.ts). */
const FURTHEST_MS = 61_000;

/**
 * Knocks at targets that are marked unreachable; the moment one answers, everything it owes is due. Each is knocked at by
 * itself, so that a silent one delays nobody; where places run out, whoever waits longest is next. `knocked` is called after each knock.
 */
export class Prober {
  readonly #app: App;
  readonly #reach: Reach;
  readonly #knocked: () => void;
  readonly #knocks = new Set<Promise<void>>();

  constructor(app: App, reach: Reach, knocked: () => void) {
    this.#app = app;
    this.#reach = reach;
    this.#knocked = knocked;
  }

  /** Begins to knock where it is time to. */
  async look(): Promise<void> {
    const marked = await this.#app.store.transaction(async (tx) => {
      await wakeStranded(this.#app, tx);
      return await tx.parts.targetsToProbe();
    });
    const ids = [...new Set([...marked, ...this.#reach.unanswered()])].filter((id) => this.#reach.mayKnock(id, PROBE_EVERY_MS))
      .sort((a, b) => this.#reach.lastKnock(a) - this.#reach.lastKnock(b));
    for (const id of ids.slice(0, AT_ONCE - this.#knocks.size)) {
      this.#reach.knocks(id);
      const knock = this.#knock(id).finally(() => {
        this.#knocks.delete(knock);
        this.#knocked();
      });
      this.#knocks.add(knock);
    }
  }

  /** Resolves when what was begun is over. */
  async end(): Promise<void> {
    await Promise.all(this.#knocks);
  }

  /** Never rejects. */
  async #knock(id: TargetId): Promise<void> {
    const { store, journal } = this.#app;
    try {
      await probeTarget(this.#app, this.#reach, id);
    } catch (error) {
      // A credential that does not open, say. It is no answer of the target: only noted, and looked at again in its turn.
      this.#reach.knocked(id, null);
      journal.warn('a probe failed', { target: id, ...whatWentWrong(error) });
      await store.transaction((tx) => tx.catalogue.setHealth(id, { checkedAt: tx.now, problem: whatWentWrong(error).message }))
        .catch((failure: unknown) => journal.warn('what a probe came to could not be written', { target: id, ...whatWentWrong(failure) }));
    }
  }
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
      ...(probe.reachable ? { unreachableSince: null } : markOf(before, tx.now)),
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
