import { grantActivating, grantEnded, grantOverdue } from '#domain/events/grant-events.ts';
import { requestExpired } from '#domain/events/request-events.ts';
import { sessionEnded } from '#domain/events/session-events.ts';
import { OVERDUE_AFTER, type Grant, type Session } from '#domain/grant.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { App } from '../app.ts';
import type { Awaiting, Tx } from '../ports/store.ts';
import { takeAway } from '../take-away.ts';
import { Aside } from './aside.ts';
import { activationObstacle } from './activation-obstacle.ts';

/** Rows per transaction: small enough that no lock is held long, large enough for 100,000 deadlines in one second. */
const BATCH = 500;
/** Batches of what is due before anything else has its turn. */
const RUSH_BATCHES = 20;
/** What is due is never long aside: 4 s. */
const DUE_MOST_TIMES = 2;

/** Finds rows whose time has come, locking them and passing over some, and moves those it found. */
interface Step<Row extends { readonly id: string }> {
  readonly what: Awaiting;
  readonly lock: (tx: Tx, limit: number, except: readonly Row['id'][]) => Promise<readonly Row[]>;
  readonly move: (app: App, tx: Tx, rows: readonly Row[]) => Promise<void>;
}

/**
 * Moves everything whose time has come, looking only at what stands in the store: any node may do it, at any moment,
 * again after any crash. Removals come first. Answers how much moved; call again until nothing does. Rows in `aside`,
 * where those land that can't be moved, are left alone.
 */
export async function advance(app: App, aside = new Aside(app.monotonic), due: Due = {}): Promise<number> {
  const awaiting = await app.store.transaction((tx) => tx.grants.awaiting(tx.now, overdueBefore(tx)));
  let moved = 0;
  if (awaiting.includes('due')) moved += await endDue(app, aside, due);
  else if (due.rush) due.rush.on = false;
  for (const step of STEPS) if (awaiting.includes(step.what)) moved += await step.run(app, aside);
  return moved;
}

/** Whether ends are being written in full batches just now, by this process: the lanes leave it the thread. */
export interface Rush {
  on: boolean;
}

export interface Due {
  /** Called when the end of what is due could not be written. */
  readonly stuck?: () => void;
  readonly rush?: Rush;
}

/**
 * Until its end is written, nobody takes a grant away, and its sessions have their broker's clock only: a crowd of deadlines goes
 * before everything else, for a while.
 */
async function endDue(app: App, aside: Aside, { stuck, rush = { on: false } }: Due): Promise<number> {
  let moved = 0;
  for (let batch = 0; batch < RUSH_BATCHES; batch++) {
    const ended = await DUE.run(app, aside, stuck).catch((error: unknown) => {
      rush.on = false;
      throw error;
    });
    moved += ended;
    rush.on = ended === BATCH;
    if (!rush.on) break;
  }
  return moved;
}

function stepOf<Row extends { readonly id: string }>(step: Step<Row>) {
  const take = (app: App, aside: Aside, limit: number, found: (rows: readonly Row[]) => void = () => undefined) =>
    app.store.transaction(async (tx) => {
      const rows = await step.lock(tx, limit, aside.ids());
      found(rows);
      if (rows.length > 0) await step.move(app, tx, rows);
      return rows.length;
    });
  const run = async (app: App, aside: Aside, stuck: () => void = () => undefined): Promise<number> => {
    try {
      return await take(app, aside, BATCH);
    } catch (error) {
      stuck();
      throwIfDown(error);
      app.journal.warn('a step of the reconciler failed, and goes on row by row', { step: step.what, message: String(error).slice(0, 300) });
      return await oneByOne(app, aside);
    }
  };
  /** What one row stumbles over must not hold up the others: it is set aside, loudly, and comes again later. */
  const oneByOne = async (app: App, aside: Aside): Promise<number> => {
    let moved = 0;
    for (let n = 0; n < BATCH; n++) {
      let ids: readonly string[] = [];
      try {
        if ((await take(app, aside, 1, (rows) => (ids = rows.map(({ id }) => id)))) === 0) break;
        moved += 1;
      } catch (error) {
        throwIfDown(error);
        if (ids.length === 0) throw error;
        for (const id of ids) aside.add(id, step.what === 'due' ? DUE_MOST_TIMES : undefined);
        app.journal.error('what the reconciler cannot move is set aside for a while', { step: step.what, row: ids[0], message: String(error).slice(0, 300) });
      }
    }
    return moved;
  };
  return { what: step.what, run };
}

/** Without the store nothing moves, and no row is to blame. */
function throwIfDown(error: unknown): void {
  if (error instanceof Refusal && error.code === 'unavailable') throw error;
}

/** The deadline itself. `lockDue` uses `<=`: at the deadline the access is over. */
const DUE = stepOf<Grant>({ what: 'due', lock: (tx, ...rest) => tx.grants.lockDue(tx.now, ...rest), move: async (_app, tx, due) => void (await takeAway(tx, due, 'expired', 'system', null)) });

/** In this order, each in a transaction of its own. */
const STEPS = [
  // Sessions whose broker has not been heard of: it died, and took its connections with it.
  stepOf<Session>({ what: 'lost', lock: (tx, ...rest) => tx.sessions.lockLost(tx.now, ...rest), move: endLostSessions }),
  stepOf<Grant>({ what: 'finished', lock: (tx, ...rest) => tx.grants.lockFinished(...rest), move: finishRemoved }),
  stepOf<Grant>({ what: 'overdue', lock: (tx, ...rest) => tx.grants.lockOverdue(overdueBefore(tx), tx.now, ...rest), move: markOverdue }),
  stepOf<Grant>({ what: 'stale', lock: (tx, ...rest) => tx.grants.lockStale(tx.now, ...rest), move: async (_app, tx, stale) => void (await takeAway(tx, stale, 'activation_failed', 'system', null)) }),
  stepOf<Grant>({ what: 'starting', lock: (tx, ...rest) => tx.grants.lockStarting(tx.now, ...rest), move: startGrants }),
  stepOf<AccessRequest>({ what: 'expired', lock: (tx, ...rest) => tx.requests.lockExpired(tx.now, ...rest), move: expireRequests }),
];

async function endLostSessions(_app: App, tx: Tx, lost: readonly Session[]): Promise<void> {
  const ends = lost.map(({ id, cutReason, statements, bytesIn, bytesOut }) => ({ id, reason: cutReason ?? 'broker_lost', statements, bytesIn, bytesOut }) as const);
  for (const ended of await tx.sessions.endAll(ends, tx.now)) await tx.log(sessionEnded(ended));
}

/** Every part absent, read back, and no session left: now, and only now, a grant has ended. */
async function finishRemoved(_app: App, tx: Tx, finished: readonly Grant[]): Promise<void> {
  await tx.grants.endAll(finished.map((grant) => grant.id), tx.now);
  for (const grant of finished) await tx.log(grantEnded(grant, tx.now));
  // Whoever waits for one is told of that one; a crowd looks once.
  if (finished.length > 20) await tx.notify('requests');
  else for (const { request } of finished) await tx.notify('requests', request);
}

const overdueBefore = (tx: Tx) => new Date(tx.now.getTime() - OVERDUE_AFTER * 1000);

async function markOverdue(app: App, tx: Tx, overdue: readonly Grant[]): Promise<void> {
  await tx.grants.markOverdue(overdue.map(({ id }) => id), tx.now);
  for (const grant of overdue) {
    await tx.log(grantOverdue(grant));
    app.journal.error('a removal is overdue', { grant: grant.id, dueAt: grant.revokeDueAt?.toISOString() });
  }
}

async function startGrants(app: App, tx: Tx, starting: readonly Grant[]): Promise<void> {
  for (const grant of starting) {
    const obstacle = await activationObstacle(app, tx, grant);
    if (obstacle) {
      await takeAway(tx, [grant], obstacle.reason, 'system', null, obstacle.policies);
      continue;
    }
    await tx.grants.update({ ...grant, state: 'activating' });
    await tx.log(grantActivating(grant));
    for (const part of await tx.parts.ofGrant(grant.id)) await tx.parts.due(part.id, 'provision', tx.now);
  }
  await tx.notify('work');
}

async function expireRequests(_app: App, tx: Tx, expired: readonly AccessRequest[]): Promise<void> {
  for (const request of expired) {
    await tx.requests.decide(request.id, 'expired', tx.now, null);
    await tx.log(requestExpired(request));
    await tx.notify('requests', request.id);
  }
}
