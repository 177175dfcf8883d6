import type { App } from '../app.ts';
import { advance, type Rush } from './advance.ts';
import { Aside } from './aside.ts';
import { runLane } from './lane.ts';
import { loop } from './loop.ts';
import { PROBE_EVERY_MS, Prober } from './probe-targets.ts';
import { provisionPart } from './provision-part.ts';
import { reachOf } from './reach.ts';
import { sweepTargets } from './sweep-target.ts';
import { withdrawPart } from './withdraw-part.ts';
import { DueUnwritten } from './withdraw-unwritten.ts';

export interface ReconcilerOptions {
  /** Attempts at a time in each lane of this process, those not counted that have been slow (lane.ts). */
  readonly concurrency: number;
  /** Attempts at a time on one target, over all processes and per lane. */
  readonly perTarget: number;
  readonly sweepEveryMs: number;
}

/** The longest anything waits for a wake-up that was lost. */
const POLL_MS = 1000;
/** How long what is due and does not move is left alone. */
const PAST_MS = 100;

/**
 * Keeps the world as the store says it should be: level-triggered, with removals in a lane of their own. Runs until
 * `signal` aborts, then finishes the attempts under way. Any number of processes may run one on the same store.
 */
export async function runReconciler(app: App, options: ReconcilerOptions, signal: AbortSignal): Promise<void> {
  const [wake, withdraw, provision, probe] = [
    wakeUp(app, signal, (payload) => payload !== 'probe'), wakeUp(app, signal, forTargets), wakeUp(app, signal, forTargets), wakeUp(app, signal, (payload) => payload === 'probe'),
  ];
  const aside = new Aside(app.monotonic);
  const unwritten = new DueUnwritten(app);
  const reach = reachOf(app.monotonic);
  const rush: Rush = { on: false };
  const wakeLanes = () => [withdraw, provision].forEach((lane) => lane.now());
  const prober = new Prober(app, reach, () => {
    wakeLanes();
    probe.now();
  });
  try {
    await Promise.all([
      loop(app, 'advance', signal, () => advanceUntilDone(app, { aside, unwritten, wake, wakeLanes, rush })),
      runLane(app, options, withdraw, { work: 'withdraw', attempt: withdrawPart, reach, rush }, signal),
      runLane(app, options, provision, { work: 'provision', attempt: provisionPart, reach, rush }, signal),
      loop(app, 'probe', signal, () => probeAndWait(prober, probe)),
      every(app, 'sweep', options.sweepEveryMs / 4, signal, () => sweepTargets(app, options.sweepEveryMs)),
      every(app, 'purge', 60_000, signal, () => app.store.transaction((tx) => tx.credentials.purge(new Date(tx.now.getTime() - 24 * 3_600_000)))),
    ]);
    await prober.end();
  } finally {
    for (const each of [wake, withdraw, provision, probe]) each.stop();
  }
}

const forTargets = (payload: string) => payload !== 'advance' && payload !== 'probe';

export interface Wake {
  /** How many wake-ups there were: read it before looking for work, so that none falls between the look and the wait. */
  count(): number;
  /** Resolves at the first wake-up after `seen`, or after `ms`. */
  wait(ms: number, seen: number): Promise<void>;
  /** Wakes those who wait here. */
  now(): void;
  stop(): void;
}

/** Each loop has its own: a claim or a look costs round trips, and most of what happens concerns one of them only. */
function wakeUp(app: App, signal: AbortSignal, concerns: (payload: string) => boolean): Wake {
  let count = 0;
  const sleepers = new Set<() => void>();
  const now = () => {
    count += 1;
    for (const done of sleepers) done();
  };
  const stopListening = app.store.listen('work', (payload) => concerns(payload) && now());
  signal.addEventListener('abort', now);
  return {
    count: () => count,
    now,
    async wait(ms, seen) {
      if (signal.aborted || count !== seen) return;
      const woken = new AbortController();
      const done = () => woken.abort('woken');
      sleepers.add(done);
      await app.monotonic.sleep(Math.max(1, ms), woken.signal);
      sleepers.delete(done);
    },
    stop() {
      stopListening();
      signal.removeEventListener('abort', now);
    },
  };
}

/** What the loop that moves grants on keeps between its looks, and whom it wakes. */
interface Advancing {
  readonly aside: Aside;
  readonly unwritten: DueUnwritten;
  readonly rush: Rush;
  readonly wake: Wake;
  readonly wakeLanes: () => void;
}

/**
 * Only the next deadlines live in memory: sleeps to the next one, at most a poll away. One that is past and did not move
 * is in other hands, or was set aside: it is no reason to look again at once.
 */
async function advanceUntilDone(app: App, { aside, unwritten, rush, wake, wakeLanes }: Advancing): Promise<void> {
  let seen = wake.count();
  while ((await advance(app, aside, { stuck: () => unwritten.start(), rush })) > 0) {
    wakeLanes();
    seen = wake.count();
  }
  const waitMs = await app.store.transaction(async (tx) => {
    const next = await tx.grants.nextInstant(new Date(tx.now.getTime() + POLL_MS));
    const left = next === null ? POLL_MS : next.getTime() - tx.now.getTime();
    return left > 0 ? left : PAST_MS;
  });
  await wake.wait(waitMs, seen);
}

async function probeAndWait(prober: Prober, wake: Wake): Promise<void> {
  const seen = wake.count();
  await prober.look();
  await wake.wait(PROBE_EVERY_MS / 3, seen);
}

async function every(app: App, name: string, ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  await loop(app, name, signal, async () => {
    await work();
    await app.monotonic.sleep(ms, signal);
  });
}
