import type { App } from '../app.ts';
import type { ClaimedPart } from '../ports/store.ts';
import type { Rush } from './advance.ts';
import { loop } from './loop.ts';
import type { Reach } from './reach.ts';
import type { ReconcilerOptions, Wake } from './reconciler.ts';

/**
 * A worker that died or sleeps frees its claim after this: a removal may take five seconds. One that lives says so three times as
 * often. Who stumbles for longer loses the claim, and no more: fences see to it that two do no harm.
 */
const CLAIM_MS = 4000;
/** Nothing that a connector does takes this long: a worker that got stuck must not hold its claim for ever. */
const STUCK_MS = 180_000;
/** The longest a lane waits for a wake-up that was lost. */
const POLL_MS = 1000;
/** An attempt that takes longer gives its place to another: slow targets must not fill a lane and delay the others (B11). */
const SLOW_MS = 1000;
/** In a rush an attempt shares the thread with what is more urgent: one at a time, but for those that only wait for their target. */
const IN_A_RUSH = { places: 1, slowMs: 100 };
/** But so many times the places, slow ones included, is the most one process carries. */
const MOST_TIMES = 16;

export interface Lane {
  readonly work: ClaimedPart['part']['work'] & string;
  /** Never rejects for what a target does; `reach` is told before anybody else gets the part. */
  readonly attempt: (app: App, reach: Reach, claimed: ClaimedPart) => Promise<void>;
  readonly reach: Reach;
  readonly rush: Rush;
}

interface Running {
  readonly part: ClaimedPart['part'];
  readonly since: number;
}

/** Claims due work and attempts it, a bounded number at a time; ends when `signal` aborts and its attempts are over. */
export async function runLane(app: App, options: ReconcilerOptions, wake: Wake, lane: Lane, signal: AbortSignal, claimMs = CLAIM_MS): Promise<void> {
  const { concurrency, perTarget } = options;
  const { monotonic } = app;
  const running = new Map<Promise<void>, Running>();
  const younger = (ms: number) => [...running.values()].filter(({ since }) => monotonic.now() - since < ms);
  const over = new AbortController();
  let keeping = false;
  // While the store hangs, one question waits for it, not one more for each beat.
  const beating = beat(app, claimMs / 3, over.signal, () => {
    if (keeping) return;
    keeping = true;
    void keepClaims(app, younger(STUCK_MS), claimMs).finally(() => (keeping = false));
  });
  const start = (claimed: ClaimedPart) => {
    const run: Promise<void> = lane.attempt(app, lane.reach, claimed)
      .catch((error: unknown) => app.journal.error('an attempt was lost', { part: claimed.part.id, message: String(error).slice(0, 300) }))
      .finally(() => {
        running.delete(run);
        wake.now();
      });
    running.set(run, { part: claimed.part, since: monotonic.now() });
  };
  await loop(app, lane.work, signal, async () => {
    const seen = wake.count();
    const { places, slowMs } = lane.rush.on ? IN_A_RUSH : { places: concurrency, slowMs: SLOW_MS };
    const free = Math.max(0, Math.min(places - younger(slowMs).length, concurrency * MOST_TIMES - running.size));
    const claimed = free === 0 ? [] : await app.store.transaction((tx) => tx.parts.claim({ work: lane.work, now: tx.now, limit: free, perTarget, claimMs, except: lane.reach.unanswered() }));
    claimed.forEach(start);
    if (claimed.length < free || free === 0) await wake.wait(free === 0 ? slowMs : POLL_MS, seen);
  });
  await Promise.all(running.keys());
  over.abort();
  await beating;
}

async function beat(app: App, ms: number, signal: AbortSignal, work: () => void): Promise<void> {
  for (;;) {
    await app.monotonic.sleep(ms, signal);
    if (signal.aborted) return;
    work();
  }
}

async function keepClaims(app: App, running: readonly Running[], claimMs: number): Promise<void> {
  if (running.length === 0) return;
  const claims = running.map(({ part }) => ({ id: part.id, fence: part.fence }));
  await app.store.transaction((tx) => tx.parts.keepClaims(claims, new Date(tx.now.getTime() + claimMs)))
    .catch((error: unknown) => app.journal.warn('claims could not be kept', { claims: claims.length, message: String(error).slice(0, 200) }));
}
