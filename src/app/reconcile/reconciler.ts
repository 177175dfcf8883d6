import type { App } from '../app.ts';
import type { Monotonic } from '../ports/runtime.ts';
import type { ClaimedPart } from '../ports/store.ts';
import { advance } from './advance.ts';
import { PROBE_EVERY_MS, probeTargets } from './probe-targets.ts';
import { provisionPart } from './provision-part.ts';
import { sweepTargets } from './sweep-target.ts';
import { withdrawPart } from './withdraw-part.ts';

export interface ReconcilerOptions {
  readonly monotonic: Monotonic;
  /** Attempts at a time in each lane of this process. */
  readonly concurrency: number;
  /** Attempts at a time on one target, over all processes and per lane. */
  readonly perTarget: number;
  readonly sweepEveryMs: number;
}

/** Longer than any connector's own limit; a worker that died frees its claim after this. */
const CLAIM_MS = 30_000;
/** The longest anything waits for a wake-up that was lost. */
const POLL_MS = 1000;

/**
 * Keeps the world as the store says it should be: level-triggered, with removals in a lane of their own. Runs until
 * `signal` aborts, then finishes the attempts under way. Any number of processes may run one on the same store.
 */
export async function runReconciler(app: App, options: ReconcilerOptions, signal: AbortSignal): Promise<void> {
  const wake = wakeUp(app, signal);
  try {
    await Promise.all([
      loop(app, 'advance', signal, () => advanceUntilDone(app, wake)),
      lane(app, options, wake, 'withdraw', withdrawPart, signal),
      lane(app, options, wake, 'provision', provisionPart, signal),
      every(app, options, 'probe', PROBE_EVERY_MS / 3, signal, () => probeTargets(app)),
      every(app, options, 'sweep', options.sweepEveryMs / 4, signal, () => sweepTargets(app, options.sweepEveryMs)),
      every(app, options, 'purge', 60_000, signal, () => app.store.transaction((tx) => tx.credentials.purge(new Date(tx.now.getTime() - 24 * 3_600_000)))),
    ]);
  } finally {
    wake.stop();
  }
}

interface Wake {
  /** How many wake-ups there were: read it before looking for work, so that none falls between the look and the wait. */
  count(): number;
  /** Resolves at the first wake-up after `seen`, or after `ms`. */
  wait(ms: number, seen: number): Promise<void>;
  /** Wakes every waiter of this process. */
  now(): void;
  stop(): void;
}

function wakeUp(app: App, signal: AbortSignal): Wake {
  let count = 0;
  const sleepers = new Set<() => void>();
  const now = () => {
    count += 1;
    for (const done of sleepers) done();
  };
  const stopListening = app.store.listen('work', now);
  signal.addEventListener('abort', now);
  return {
    count: () => count,
    now,
    wait: (ms, seen) =>
      new Promise((resolve) => {
        if (signal.aborted || count !== seen) return resolve();
        const timer = setTimeout(done, Math.max(1, ms));
        function done() {
          clearTimeout(timer);
          sleepers.delete(done);
          resolve();
        }
        sleepers.add(done);
      }),
    stop() {
      stopListening();
      signal.removeEventListener('abort', now);
    },
  };
}

/** Only the next deadlines live in memory: sleeps to the next one, at most a poll away. */
async function advanceUntilDone(app: App, wake: Wake): Promise<void> {
  let seen = wake.count();
  while ((await advance(app)) > 0) {
    wake.now();
    seen = wake.count();
  }
  const waitMs = await app.store.transaction(async (tx) => {
    const next = await tx.grants.nextInstant(new Date(tx.now.getTime() + POLL_MS));
    return next === null ? POLL_MS : Math.max(1, next.getTime() - tx.now.getTime());
  });
  await wake.wait(waitMs, seen);
}

async function lane(app: App, options: ReconcilerOptions, wake: Wake, work: 'provision' | 'withdraw', attempt: (app: App, claimed: ClaimedPart) => Promise<void>, signal: AbortSignal): Promise<void> {
  const running = new Set<Promise<void>>();
  await loop(app, work, signal, async () => {
    const seen = wake.count();
    const free = options.concurrency - running.size;
    const claimed = free === 0 ? [] : await app.store.transaction((tx) => tx.parts.claim({ work, now: tx.now, limit: free, perTarget: options.perTarget, claimMs: CLAIM_MS }));
    for (const part of claimed) {
      const run: Promise<void> = attempt(app, part)
        .catch((error: unknown) => app.journal.error('an attempt was lost', { part: part.part.id, message: String(error).slice(0, 300) }))
        .finally(() => {
          running.delete(run);
          wake.now();
        });
      running.add(run);
    }
    if (claimed.length < free || free === 0) await wake.wait(POLL_MS, seen);
  });
  await Promise.all(running);
}

async function every(app: App, options: ReconcilerOptions, name: string, ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  await loop(app, name, signal, async () => {
    await work();
    await options.monotonic.sleep(ms, signal);
  });
}

/** Runs `work` again and again; a failure (the store is down, say) is told and tried again a second later. */
async function loop(app: App, name: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      app.journal.warn('the reconciler could not go on', { loop: name, message: String(error).slice(0, 300) });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
